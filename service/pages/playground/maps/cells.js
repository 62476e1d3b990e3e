// What each cell of the four heat maps says: its number, its colour, whether it is masked, and its label in words.
import { diverging, readableOn, sequential } from "./colours.js";
import { t } from "../words/i18n.js";
import { nameOf } from "../words/names.js";
import { formatFull, formatNumber } from "../words/numbers.js";
import { NUMBERS_LIMIT } from "../state/store.js";

const SURFACE = { light: "#ffffff", dark: "#1b2129" };

const MISSING = { light: "#e9ebef", dark: "#2b323c" };

const HIDDEN_SIGN = "×";

export function cellsOf(state, { scores, logits, weights, output }, theme) {
  const hidden = (row, key) => logits?.[row]?.[key] === -Infinity;
  const small = sizeOf(weights);
  const decimals = small.columns > 16 ? 2 : small.columns > 8 ? 3 : 4;
  const context = { state, theme, decimals, numbers: small.rows <= NUMBERS_LIMIT && small.columns <= NUMBERS_LIMIT };
  const scale = weightScale(weights);
  return {
    scores: {
      ...sizeOf(scores),
      scale: symmetric(scores),
      cell: numberCell(context, "scores", scores, symmetric(scores), hidden),
    },
    mask: { ...sizeOf(logits), scale: { kind: "mask" }, cell: maskCell(context, hidden) },
    weights: { ...small, scale, cell: numberCell(context, "weights", weights, scale, hidden) },
    output: output && outputCells(context, output),
  };
}

function outputCells(context, output) {
  const { rows, columns } = sizeOf(output);
  const numbers = rows <= NUMBERS_LIMIT && columns <= NUMBERS_LIMIT;
  const decimals = columns > 16 ? 2 : columns > 8 ? 3 : 4;
  const scale = symmetric(output);
  return {
    rows,
    columns,
    scale,
    cell: numberCell({ ...context, numbers, decimals }, "output", output, scale, () => false),
  };
}

const sizeOf = (matrix) => ({ rows: matrix?.length ?? 0, columns: matrix?.[0]?.length ?? 0 });

function symmetric(matrix) {
  const largest = matrix
    ?.flat()
    .reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0);
  return { kind: "diverging", largest: largest || 1 };
}

// Shares are shown from 0 to 1; weights that are no shares, such as raw logits, around 0.
function weightScale(weights) {
  const outside = weights?.some((row) => row.some((weight) => weight < -1e-9 || weight > 1 + 1e-9));
  return outside ? { ...symmetric(weights), outside: true } : { kind: "sequential", largest: 1 };
}

function backgroundOf(value, scale, theme) {
  if (typeof value !== "number" || Number.isNaN(value)) return MISSING[theme];
  return scale.kind === "sequential"
    ? sequential(value)
    : diverging(Math.max(-1, Math.min(1, value / scale.largest)), theme);
}

function numberCell({ state, theme, decimals, numbers }, stage, matrix, scale, isHidden) {
  const axis = stage === "output" ? "value" : "key";
  return (row, column) => {
    const value = matrix[row]?.[column];
    const hidden = isHidden(row, column);
    const background = hidden ? SURFACE[theme] : backgroundOf(value, scale, theme);
    const written = (digits) =>
      typeof value === "number" ? formatNumber(value, digits, { fixed: stage === "weights" }) : "?";
    const label = () =>
      t(hidden ? `cell.${stage}_hidden` : `cell.${stage}`, {
        query: nameOf(state, "query", row),
        [axis]: nameOf(state, axis, column),
        number: written(4),
      });
    return {
      text: numbers ? written(decimals) : "",
      background,
      colour: () => readableOn(background),
      label,
      hidden,
      value: fullValue(value),
    };
  };
}

function maskCell({ state, theme, numbers }, isHidden) {
  return (row, key) => {
    const hidden = isHidden(row, key);
    const background = hidden ? SURFACE[theme] : MISSING[theme];
    const label = () =>
      t(hidden ? "cell.mask_hidden" : "cell.mask", {
        query: nameOf(state, "query", row),
        key: nameOf(state, "key", key),
      });
    const text = hidden ? HIDDEN_SIGN : "✓";
    return { text: numbers ? text : "", background, colour: () => readableOn(background), label, hidden };
  };
}

const fullValue = (value) => (typeof value === "number" ? formatFull(value) : null);
