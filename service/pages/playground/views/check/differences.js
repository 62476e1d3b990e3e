// The map of one result: by how much each of its cells differs from what the service expects.
import { createHeatmap } from "../../maps/heatmap.js";
import { SURFACE, diverging, readableOn } from "../../maps/colours.js";
import { fitMaps } from "../../maps/fit.js";
import { element, setText } from "../../page/dom.js";
import { NUMBERS_LIMIT } from "../../state/store.js";
import { t } from "../../words/i18n.js";
import { namesOf } from "../../words/names.js";
import { formatFull, formatNumber } from "../../words/numbers.js";

const RIGHT = "✓";

const HIDDEN = "×";

const MAX_DECIMALS = 3;

export const columnNames = (view, field, count) =>
  field === "logsumexp" ? ["logsumexp"] : namesOf(view, field === "output" ? "value" : "key", count);

// What a cell is, in words, with every digit; `text` is the text in it.
function wordsFor({ view, field, columns }, { row, column, expected, received, isWrong }, text) {
  return t(isWrong ? "kernel.cell" : "kernel.cell_right", {
    row: namesOf(view, "query", row + 1)[row],
    column: columnNames(view, field, columns)[column],
    text,
    expected: formatFull(expected),
    received: formatFull(received),
  });
}

// `focus` is called with the row and the column of the cell that is pointed at.
export function createDifferences({ focus }) {
  const scroller = element("div", { class: "scroller" });
  const legend = element("p", { class: "hint" });
  const detail = element("p", { class: "detail" });
  const root = element("div", { class: "differences" }, scroller, detail, legend);
  const map = createHeatmap(scroller, "differences", { focus });
  let last = null;
  let width = 0;

  new ResizeObserver(() => {
    if (root.clientWidth && root.clientWidth !== width && last) paint(last, true);
  }).observe(root);

  function paint(shown, repaints) {
    const { view, field, cells, first, isHidden } = shown;
    last = shown;
    width = root.clientWidth || width;
    const [rows, columns] = [cells.length, cells[0].length];
    const hasNumbers = rows <= NUMBERS_LIMIT && columns <= NUMBERS_LIMIT;
    const largest = largestIn(cells);
    const names = { rowNames: namesOf(view, "query", rows), columnNames: columnNames(view, field, columns) };
    const texts = (decimals) => cells.flat().map((cell) => textOf(cell, isHidden, decimals));
    const described = { columns, texts, maxDecimals: hasNumbers ? MAX_DECIMALS : 0, hasNumbers, ...names };
    const fit = fitMaps(width, { output: described }).output;
    const at = placeOf(shown, rows, columns);
    const look = { ...shown, largest, columns, decimals: fit.decimals, hasNumbers };
    const cell = (row, column) => cellOf(cells[row][column], look);
    map.update(
      {
        label: t("kernel.map", { field: t(`kernel.field_${field}`) }),
        rows: names.rowNames,
        columns: names.columnNames,
        cell,
        fit,
        selected: at,
        active: at ?? { row: -1, column: -1 },
        differs: first,
      },
      repaints,
    );
    setText(detail, at ? cell(at.row, at.column).label() : "");
    setText(legend, t(hasNumbers ? "kernel.legend" : "kernel.legend_colours"));
  }

  return { root, paint };
}

// The cell that the page explains, where this map has it.
function placeOf({ view: { focus }, field }, rows, columns) {
  const column = field === "logsumexp" ? 0 : field === "output" ? focus.column : focus.key;
  return focus.row < rows && column < columns ? { row: focus.row, column } : null;
}

const largestIn = (cells) =>
  cells
    .flat()
    .reduce(
      (most, { isWrong, difference }) =>
        isWrong && Number.isFinite(difference) ? Math.max(most, Math.abs(difference)) : most,
      0,
    ) || 1;

function textOf({ row, column, isWrong, difference, received }, isHidden, decimals) {
  if (!isWrong) return isHidden(row, column) ? HIDDEN : RIGHT;
  return Number.isFinite(difference) ? formatNumber(difference, decimals) : formatNumber(received, decimals);
}

function cellOf(cell, look) {
  const { theme, isHidden, largest, decimals, hasNumbers } = look;
  const { row, column, isWrong, difference } = cell;
  const text = textOf(cell, isHidden, decimals);
  const hidden = isHidden(row, column);
  const share = !isWrong
    ? 0
    : Number.isFinite(difference)
      ? Math.sign(difference) * Math.max(0.25, Math.abs(difference) / largest)
      : 1;
  const background = hidden && !isWrong ? SURFACE[theme] : diverging(share, theme);
  return {
    text: hasNumbers ? text : "",
    background,
    colour: () => readableOn(background),
    label: () => wordsFor(look, cell, text),
    hidden,
    value: formatFull(difference),
  };
}
