// A map of slopes: diverging about 0, hatched where a masked key has none.
import { MISSING, SURFACE, diverging, readableOn } from "../../maps/colours.js";
import { fitMaps } from "../../maps/fit.js";
import { createHeatmap } from "../../maps/heatmap.js";
import { createLegend } from "../../maps/legend.js";
import { element, setText } from "../../page/dom.js";
import { NUMBERS_LIMIT } from "../../state/store.js";
import { decimalsOf, formatAligned, formatFull } from "../../words/numbers.js";

const NEARLY_ZERO = "≈0";

const precisionOf = (columns) => (columns > 16 ? 2 : columns > 8 ? 3 : 4);

// A slope that is small beside the others is written as nearly 0, which is short.
function write(slope, decimals, largest) {
  const least = 0.5 * 10 ** -decimals;
  return slope !== 0 && Math.abs(slope) < least && largest >= 10 * least ? NEARLY_ZERO : formatAligned(slope, decimals);
}

export function createSlopes(name) {
  const title = element("h3");
  const help = element("p", { class: "hint" });
  const scroller = element("div", { class: "scroller" });
  const detail = element("p", { class: "detail" });
  const legend = createLegend(name === "jacobian" ? "scores" : "output");
  const root = element("section", { class: "slopes" }, title, help, scroller, legend.root, detail);
  const map = createHeatmap(scroller, `slopes-${name}`, { focus });
  let last = null;
  let at = null;
  let width = 0;

  new ResizeObserver(() => {
    const now = root.parentElement?.clientWidth;
    if (now && now !== width && last) paint(last);
  }).observe(root);

  function focus(row, column) {
    at = { row, column };
    show(false);
  }

  // `shown` is {title, help, matrix, rowNames, columnNames, isHidden(row, column), label(row, column, number), theme}.
  function paint(shown) {
    last = shown;
    const { matrix } = shown;
    if (at && (at.row >= matrix.length || at.column >= matrix[0].length)) at = null;
    setText(title, shown.title);
    setText(help, shown.help);
    show(true);
  }

  function show(repaints) {
    const { matrix, rowNames, columnNames, isHidden, label, theme } = last;
    width = root.parentElement.clientWidth || width;
    const columns = columnNames.length;
    const hasNumbers = matrix.length <= NUMBERS_LIMIT && columns <= NUMBERS_LIMIT;
    const decimals = (most) => (hasNumbers ? decimalsOf(matrix.flat(), most) : 0);
    const largest =
      matrix.flat().reduce((most, slope) => (Number.isFinite(slope) ? Math.max(most, Math.abs(slope)) : most), 0) || 1;
    const texts = (most) => matrix.flat().map((slope) => write(slope, decimals(most), largest));
    const described = {
      columns,
      texts,
      maxDecimals: decimals(precisionOf(columns)),
      hasNumbers,
      rowNames,
      columnNames,
    };
    const fit = fitMaps(width, { output: described }).output;
    root.classList.toggle("wide", fit.wide);
    const cell = (row, column) => {
      const slope = matrix[row][column];
      const hidden = isHidden(row, column);
      const text = hasNumbers ? write(slope, decimals(fit.decimals), largest) : "";
      const background = hidden
        ? SURFACE[theme]
        : Number.isFinite(slope)
          ? diverging(slope / largest, theme)
          : MISSING[theme];
      return {
        text,
        background,
        colour: () => readableOn(background),
        label: () => label(row, column, hasNumbers ? text : formatFull(slope)),
        hidden,
        value: formatFull(slope),
      };
    };
    map.update(
      {
        label: last.title,
        rows: rowNames,
        columns: columnNames,
        cell,
        fit,
        selected: at,
        active: at ?? { row: -1, column: -1 },
      },
      repaints,
    );
    setText(detail, at ? label(at.row, at.column, formatFull(matrix[at.row][at.column])) : "");
    legend.update({ kind: "diverging", largest }, theme);
  }

  return { root, paint };
}
