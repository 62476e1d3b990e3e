// The maps of A, of B and of their difference: one scale for A and B, one around 0 for the difference.
import { mapOf, symmetric, weightScale } from "../../maps/cells.js";
import { COLUMN_GAP, ROOM_FOR_TWO, fitTo, keepsDetail } from "../../maps/fit.js";
import { createHeatmap } from "../../maps/heatmap.js";
import { createLegend } from "../../maps/legend.js";
import { element, setAttributes, setText } from "../../page/dom.js";
import { t } from "../../words/i18n.js";
import { namesOf } from "../../words/names.js";

export const SIDES = ["a", "b", "difference"];

export const columnAxisOf = (stage) => (stage === "output" ? "value" : "key");

// `focus` takes the row and the column of a cell.
export function createMaps(root, focus) {
  const sides = Object.fromEntries(SIDES.map((side) => [side, createSide(side, focus)]));
  const grid = element("div", { class: "compare-maps" }, ...SIDES.map((side) => sides[side].root));
  root.append(grid);
  let width = 0;
  let content = null;
  let cells = null;
  let fit = null;
  let again = null;

  new ResizeObserver(() => {
    const now = grid.clientWidth;
    if (now && now !== width) again?.();
  }).observe(grid);

  function layOut(state, stage) {
    width = grid.clientWidth || width;
    const [count, found] = fitSides(width, describe(state, stage, Object.values(cells)));
    fit = found;
    setAttributes(grid, { "data-columns": count });
  }

  function update(found) {
    const { state, stage, a, b, difference, theme, isPassing } = found;
    again = () => {
      content = null;
      update(found);
    };
    const next = [a, b, stage, theme, state.language, JSON.stringify(state.names)];
    const repaints = !content || next.some((part, index) => part !== content[index]);
    if (repaints) {
      const size = sizeText(cells?.a);
      const isNew = !content || stage !== content[2];
      cells = cellsOf({ state, stage, a, b, difference, theme });
      if (!isPassing || isNew || size !== sizeText(cells.a)) layOut(state, stage);
    }
    content = next;
    for (const side of SIDES) show(sides[side], side, cells[side], { ...found, repaints, fit });
  }

  return {
    grid,
    parts: sides,
    // `a` and `b` are numbers as an answer has them, `b` null where there are none; `difference` is a matrix or null.
    update,
  };
}

function createSide(side, focus) {
  const settings = element("small");
  const name = element("span", { class: "badge" });
  const scroller = element("div", { class: "scroller" });
  const instead = element("div", { class: "empty", hidden: true });
  const legend = createLegend("weights");
  const check = side === "difference" ? null : element("p", { class: "verification" });
  const heading = element("h3", {}, name, " ", settings);
  const root = element("section", { class: "stage", "data-side": side }, heading, scroller, instead, legend.root, check);
  const map = createHeatmap(scroller, `compare-${side}`, { focus });
  return { root, name, settings, scroller, instead, legend, check, map };
}

const sizeText = (cells) => cells && `${cells.rows} ${cells.columns}`;

function cellsOf({ state, stage, a, b, difference, theme }) {
  const both = b ? [...a[stage], ...b[stage]] : a[stage];
  const scale = stage === "weights" ? weightScale(both) : symmetric(both);
  const hiddenIn = ({ logits }) => (row, key) => stage !== "output" && logits?.[row]?.[key] === -Infinity;
  const context = { state, theme, axis: columnAxisOf(stage) };
  const cellsIn = (numbers) => mapOf({ ...context, stage, hidden: hiddenIn(numbers) }, numbers[stage], scale);
  if (!b) return { a: cellsIn(a) };
  const [inA, inB] = [hiddenIn(a), hiddenIn(b)];
  const hidden = (row, key) => inA(row, key) && inB(row, key);
  const name = stage === "output" ? "difference_output" : "difference";
  const cellsOfDifference = mapOf({ ...context, stage: name, hidden }, difference, symmetric(difference));
  return { a: cellsIn(a), b: cellsIn(b), difference: cellsOfDifference };
}

// All three have the same sizes, so that a cell is found at the same place of each.
function describe(state, stage, all) {
  const [{ rows, columns, hasNumbers }] = all;
  return {
    columns,
    hasNumbers,
    rowNames: namesOf(state, "query", rows),
    columnNames: namesOf(state, columnAxisOf(stage), columns),
    texts: (decimals) => all.flatMap((cells) => cells.texts(decimals)),
    maxDecimals: Math.max(...all.map(({ maxDecimals }) => maxDecimals)),
  };
}

const MIN_COLOUR_CELL = 4;

const ROOM_FOR_THREE = 640;

// Three maps share a line where they lose nothing; A and B do wherever there is room for two.
function fitSides(width, described) {
  const fitAt = (count) => fitTo((width - (count - 1) * COLUMN_GAP) / count, described);
  const three = fitAt(3);
  const isLegible = keepsDetail(three, described) && (described.hasNumbers || three.cell >= MIN_COLOUR_CELL);
  if (width >= ROOM_FOR_THREE && isLegible) return [3, three];
  const two = fitAt(2);
  if (width >= ROOM_FOR_TWO || (described.hasNumbers && keepsDetail(two, described))) return [2, two];
  return [1, fitAt(1)];
}

function show({ root, name, settings, scroller, instead, legend, map }, side, cells, found) {
  const { state, stage, theme, titles, repaints, fit, isPassing, focused } = found;
  setText(name, t(`compare.${side}`));
  setText(settings, titles[side]);
  settings.title = titles[side];
  const isShown = Boolean(cells?.rows);
  scroller.hidden = !isShown;
  legend.root.hidden = !isShown;
  instead.hidden = isShown;
  setAttributes(root, { "data-old": side !== "a" && found.isOld });
  if (!isShown) return;
  map.update(
    {
      label: `${t(`compare.${side}`)}: ${t(`stage.${stage}`)}`,
      rows: namesOf(state, "query", cells.rows),
      columns: namesOf(state, columnAxisOf(stage), cells.columns),
      cell: cells.cellAt(fit.density === "numbers" ? fit.decimals : null),
      fit,
      isPassing,
      selected: focused,
      active: focused,
    },
    repaints,
  );
  legend.update(cells.scale, theme, stage);
}
