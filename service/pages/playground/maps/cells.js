// What each cell of the four heat maps says: its number, its colour, whether it is masked, and its label in words.
import { MISSING, SURFACE, diverging, readableOn, sequential } from "./colours.js";
import { t } from "../words/i18n.js";
import { nameOf } from "../words/names.js";
import { decimalsOf, formatAligned, formatFull, formatNumber } from "../words/numbers.js";
import { NUMBERS_LIMIT } from "../state/store.js";

const HIDDEN_SIGN = "×";

// For each stage its size, scale, `texts(decimals)` for all cells and `cellAt(decimals)`, a function of row and column;
// with null its cells show no numbers.
export function cellsOf(state, { scores, logits, weights, output }, theme) {
  const hidden = (row, key) => logits?.[row]?.[key] === -Infinity;
  const context = { state, theme };
  return {
    scores: mapOf({ ...context, stage: "scores", hidden }, scores, symmetric(scores)),
    mask: maskMap(context, logits, hidden),
    weights: mapOf({ ...context, stage: "weights", hidden }, weights, weightScale(weights)),
    output: output && mapOf({ ...context, stage: "output", hidden: () => false }, output, symmetric(output)),
  };
}

const sizeOf = (matrix) => ({ rows: matrix?.length ?? 0, columns: matrix?.[0]?.length ?? 0 });

const isLegible = ({ rows, columns }) => rows <= NUMBERS_LIMIT && columns <= NUMBERS_LIMIT;

// `context` is {state, theme, stage, hidden, axis}: `hidden` says of a row and column whether it is masked; `axis`, whose
// names the columns have, is by default that of the stage.
export function mapOf(context, matrix, scale) {
  const size = sizeOf(matrix);
  const precision = size.columns > 16 ? 2 : size.columns > 8 ? 3 : 4;
  const hasNumbers = isLegible(size);
  const used = (decimals) => (hasNumbers ? decimalsOf(matrix.flat(), decimals) : 0);
  return {
    ...size,
    scale,
    hasNumbers,
    maxDecimals: hasNumbers ? used(precision) : 0,
    texts: (decimals) => matrix.flat().map((value) => write(value, used(decimals))),
    cellAt: (decimals) => {
      const isWritten = hasNumbers && decimals !== null;
      return numberCell({ ...context, decimals: used(decimals), isWritten }, matrix, scale);
    },
  };
}

function maskMap(context, logits, hidden) {
  const size = sizeOf(logits);
  const hasNumbers = isLegible(size);
  const cell = maskCell({ ...context, hasNumbers }, hidden);
  return { ...size, scale: { kind: "mask" }, hasNumbers, maxDecimals: 0, texts: () => ["✓", "×"], cellAt: () => cell };
}

export function symmetric(matrix) {
  const largest = matrix
    ?.flat()
    .reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0);
  return { kind: "diverging", largest: largest || 1 };
}

// Shares are shown from 0 to 1; weights that are no shares, such as raw logits, around 0.
export function weightScale(weights) {
  const outside = weights?.some((row) => row.some((weight) => weight < -1e-9 || weight > 1 + 1e-9));
  return outside ? { ...symmetric(weights), outside: true } : { kind: "sequential", largest: 1 };
}

function backgroundOf(value, scale, theme) {
  if (typeof value !== "number" || Number.isNaN(value)) return MISSING[theme];
  return scale.kind === "sequential"
    ? sequential(value)
    : diverging(Math.max(-1, Math.min(1, value / scale.largest)), theme);
}

const write = (value, decimals) => (typeof value === "number" ? formatAligned(value, decimals) : "?");

const axisOf = (stage) => (stage === "output" ? "value" : "key");

function numberCell(context, matrix, scale) {
  const { state, theme, stage, hidden: isHidden, decimals, isWritten, axis = axisOf(stage) } = context;
  return (row, column) => {
    const value = matrix[row]?.[column];
    const hidden = isHidden(row, column);
    const background = hidden ? SURFACE[theme] : backgroundOf(value, scale, theme);
    const text = isWritten ? write(value, decimals) : "";
    // The name of a cell contains its text, for people who speak to the page (WCAG 2.5.3).
    const label = () =>
      t(hidden ? `cell.${stage}_hidden` : `cell.${stage}`, {
        query: nameOf(state, "query", row),
        [axis]: nameOf(state, axis, column),
        number: text || (typeof value === "number" ? formatNumber(value, 4, { fixed: stage === "weights" }) : "?"),
      });
    return {
      text,
      background,
      colour: () => readableOn(background),
      label,
      hidden,
      value: typeof value === "number" ? formatFull(value) : null,
    };
  };
}

function maskCell({ state, theme, hasNumbers }, isHidden) {
  return (row, key) => {
    const hidden = isHidden(row, key);
    const background = hidden ? SURFACE[theme] : MISSING[theme];
    const label = () =>
      t(hidden ? "cell.mask_hidden" : "cell.mask", {
        query: nameOf(state, "query", row),
        key: nameOf(state, "key", key),
      });
    const text = hidden ? HIDDEN_SIGN : "✓";
    return { text: hasNumbers ? text : "", background, colour: () => readableOn(background), label, hidden };
  };
}
