// The four heat maps, from what the service answered.
import { cellsOf } from "./cells.js";
import { ROOM_FOR_TWO, fitMaps } from "./fit.js";
import { byId, element, setText } from "../page/dom.js";
import { createHeatmap } from "./heatmap.js";
import { t } from "../words/i18n.js";
import { createLegend } from "./legend.js";
import { namesOf } from "../words/names.js";

export const STAGES = ["scores", "mask", "weights", "output"];

const MASKABLE = ["mask", "weights"];

// `on` holds focus(stage, row, column), toggle(row, key), toggleKey(key).
export function createPipeline(on) {
  const maps = Object.fromEntries(
    STAGES.map((stage) => {
      const root = byId(`stage-${stage}`);
      const scroller = element("div", { class: "scroller" });
      const empty = element("p", { class: "empty", hidden: true });
      const legend = createLegend(stage);
      root.append(scroller, empty, legend.root);
      const maskable = MASKABLE.includes(stage) ? { toggle: on.toggle, toggleColumn: on.toggleKey } : {};
      const map = createHeatmap(scroller, stage, { focus: (row, column) => on.focus(stage, row, column), ...maskable });
      return [stage, { root, scroller, empty, legend, map }];
    }),
  );

  const stages = maps.scores.root.parentElement;
  let width = 0;
  let content = null;
  let cells = null;
  let fits = null;
  let again = null;

  // Of a hidden pane no width is known; it is fitted when it is shown.
  new ResizeObserver(() => {
    const now = stages.clientWidth;
    if (now && now !== width) again?.();
  }).observe(stages);

  function fit(state) {
    width = stages.clientWidth || width;
    stages.classList.toggle("two", width >= ROOM_FOR_TWO);
    const described = STAGES.map((stage) => [stage, cells[stage]?.rows ? describe(state, stage, cells[stage]) : null]);
    return fitMaps(width, Object.fromEntries(described));
  }

  function update(state, numbers, theme, worst, isPassing) {
    again = () => {
      content = null;
      update(state, numbers, theme, worst, isPassing);
    };
    const next = [numbers, theme, state.language, JSON.stringify(state.names)];
    const repaints = !content || next.some((part, index) => part !== content[index]);
    if (repaints) {
      const sizes = JSON.stringify(STAGES.map((stage) => [cells?.[stage]?.rows, cells?.[stage]?.columns]));
      cells = cellsOf(state, numbers, theme);
      const isSameSize = sizes === JSON.stringify(STAGES.map((stage) => [cells[stage]?.rows, cells[stage]?.columns]));
      if (!isPassing || !isSameSize) fits = fit(state);
    }
    content = next;
    for (const stage of STAGES)
      show(maps[stage], stage, state, cells[stage], { theme, repaints, worst, isPassing, fit: fits[stage] });
  }

  return {
    // `numbers` is the answer of the service, and `state` the one that it answers.
    // `worst` is the cell that differs most from the browser's own, if any differs.  Numbers that are passing are
    // painted without labels, which follow when they come to rest.
    update,
    focusCell: (stage, row, column) => maps[stage].map.focusCell(row, column),
  };
}

const columnsOf = (state, stage, { columns }) => namesOf(state, stage === "output" ? "value" : "key", columns);

function describe(state, stage, { rows, columns, texts, maxDecimals, hasNumbers }) {
  const names = { rowNames: namesOf(state, "query", rows), columnNames: columnsOf(state, stage, { columns }) };
  return { columns, texts, maxDecimals, hasNumbers, ...names };
}

function show({ root, scroller, empty, legend, map }, stage, state, cells, options) {
  const { theme, repaints, worst, isPassing, fit } = options;
  const shown = Boolean(cells?.rows);
  scroller.hidden = !shown;
  legend.root.hidden = !shown;
  empty.hidden = shown;
  if (!shown) setText(empty, t("map.no_values"));
  root.classList.toggle("wide", shown && fit.wide);
  if (!shown) return;
  const selected = state.focus.stage === stage ? { row: state.focus.row, column: columnOf(state.focus, stage) } : null;
  const columns = columnsOf(state, stage, cells);
  map.update(
    {
      label: t(`stage.${stage}`),
      rows: namesOf(state, "query", cells.rows),
      columns,
      columnLabel: (column) => t("mask.whole_key", { key: columns[column] }),
      cell: cells.cellAt(fit.density === "numbers" ? fit.decimals : null),
      fit,
      isPassing,
      selected,
      differs: worst?.matrix === stage || (stage === "mask" && worst?.matrix === "logits") ? worst : null,
      active: { row: state.focus.row, column: columnOf(state.focus, stage, true) },
    },
    repaints,
  );
  legend.update(cells.scale, theme);
}

// Key columns stay highlighted in all maps of keys; in the output only when it is the output that is explained.
function columnOf(focus, stage, related = false) {
  if (stage !== "output") return focus.key;
  return related && focus.stage !== "output" ? -1 : focus.column;
}
