// Weights or scores of matrices that no JSON answer and no table can hold: asked for in bands of queries, as bytes.
import { postTensors } from "./api.js";
import { attend } from "../reference/attend.js";
import { floatsOf, writeSafetensors } from "./safetensors.js";

// Numbers of one answer.
const BAND_NUMBERS = 1 << 22;

const CHECKED_ROWS = 5;

// `problem` is {queries, keys, features, query, key, mask} with flat float32 numbers; `mask` has the forms of `maskAt`.
// `onBand` is called with the first row and the numbers of each answer, {values, entropy}, in order.
export async function computeLarge(problem, stage, signal, onBand) {
  const { queries, keys, features, query, key } = problem;
  const rows = Math.max(1, Math.min(queries, Math.floor(BAND_NUMBERS / keys)));
  for (let first = 0; first < queries; first += rows) {
    const count = Math.min(rows, queries - first);
    const band = query.subarray(first * features, (first + count) * features);
    const tensors = {
      query: { shape: [count, features], values: band },
      key: { shape: [keys, features], values: key },
    };
    const request = { include: [stage, ...(stage === "weights" ? ["diagnostics"] : [])], ...maskAt(problem.mask, first) };
    const answer = floatsOf(await postTensors("v1/attention", writeSafetensors(tensors, request), signal));
    await onBand(first, { values: answer[stage].values, entropy: answer["diagnostics.entropy"]?.values ?? null });
  }
}

// The mask of queries from `first` on.
function maskAt({ kind, left }, first) {
  if (kind === "none") return {};
  const form = kind === "causal" ? { causal: true } : { window: { left, right: 0 } };
  return { mask: { ...form, offset: first } };
}

export function isVisibleAt({ kind, left }, row, column) {
  return kind === "none" || (column <= row && (kind === "causal" || column >= row - left));
}

// Some rows computed by the browser in float64; returns the largest difference from the numbers of the service.
export function checkRows({ queries, keys, features, query, key, mask }, stage, values) {
  const rows = Array.from({ length: CHECKED_ROWS }, (_, index) =>
    Math.round((index * (queries - 1)) / (CHECKED_ROWS - 1)),
  );
  const rowsOf = (flat, at) => Array.from(flat.subarray(at * features, (at + 1) * features));
  const found = attend({
    query: rows.map((row) => rowsOf(query, row)),
    key: Array.from({ length: keys }, (_, at) => rowsOf(key, at)),
    score_model: { name: "scaled_dot_product" },
    normalizer: { name: "softmax" },
    mask: maskAt(mask, 0).mask,
    positions: { query: rows },
  })[stage];
  let difference = 0;
  found.forEach((line, index) =>
    line.forEach((number, column) => {
      difference = Math.max(difference, Math.abs(number - values[rows[index] * keys + column]));
    }),
  );
  return { rows: rows.length, difference };
}
