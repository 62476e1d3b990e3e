// From the state to what the service is asked, and from its answer to numbers.
import { hasFormulas, membersOf } from "../state/further.js";
import { batchesOf, isLarge, sizesOf, sliceOf } from "../state/store.js";
import { batchRowsOf, indexWithin } from "../state/used_memory.js";

const INCLUDE = ["scores", "logits", "weights", "output", "diagnostics"];

// Fields of an answer from a memory that has too many keys for a map.
const RANKED = ["output", "ranking"];

const TOP_KEYS = 10;

export function requestOf(state) {
  const further = {
    mask: maskOf(state),
    score_modifier: membersOf(state, "score_modifier"),
    positions: positionsOf(state),
  };
  return {
    query: sliceOf(state, "query"),
    ...keysOf(state),
    score_model: { name: state.scoreModel.name, ...given(state.scoreModel.parameters) },
    normalizer: { name: state.normalizer.name, ...given(state.normalizer.parameters) },
    ...given(further),
    include: (isLarge(state) ? RANKED : INCLUDE).filter((name) => name !== "output" || sizesOf(state).values),
    ...(isLarge(state) ? { top_k: TOP_KEYS } : {}),
  };
}

// A memory whose numbers are shown is computed with in the numbers of this page, and in that version alone.
function keysOf(state) {
  const { memory } = state;
  if (!memory) return tensorsOf(state);
  if (isLarge(state)) return { memory: memory.name };
  return { memory: { name: memory.name, version: memory.about.version }, dtype: "float64" };
}

// Keys and values as the page has them.
export function tensorsOf(state) {
  const value = sliceOf(state, "value");
  return { key: sliceOf(state, "key"), ...(value ? { value } : {}) };
}

export const positionsOf = (state) => membersOf(state, "positions");

export function maskOf(state) {
  const { formula, parameters } = membersOf(state, "mask") ?? {};
  const mask = { ...cellMaskOf(state), ...given({ formula: formula ?? null, parameters: parameters ?? null }) };
  return Object.keys(mask).length ? mask : null;
}

// The masks that the page knows by itself: all but the formula.
export function cellMaskOf(state) {
  const { prefix_lengths: prefixes, key_allowed: keys } = membersOf(state, "mask") ?? {};
  const prefix = prefixes?.[batchesOf(state) > 1 ? state.batch : 0] ?? prefixes?.at(-1);
  const rows = prefix === undefined ? null : forBatchRows(state, prefix);
  const mask = { ...namedMaskOf(state), ...given({ prefix_lengths: rows, key_allowed: keys ?? null }) };
  return Object.keys(mask).length ? mask : null;
}

export const usesOffset = (state) => ["causal", "window"].includes(state.mask.kind) || hasFormulas(state);

function namedMaskOf(state) {
  const { kind, offset, left, right, lengths, allowed } = state.mask;
  const positions = offset && usesOffset(state) ? { offset } : {};
  if (kind === "causal") return { causal: true, ...positions };
  if (kind === "window") return { window: { left, right }, ...positions };
  if (kind === "lengths") return { key_lengths: forBatchRows(state, lengthOf(lengths, state)), ...positions };
  return { ...(kind === "custom" && allowed ? { allowed } : {}), ...positions };
}

const forBatchRows = (state, number) => Array(batchRowsOf(state)).fill(number);

export function lengthOf(lengths, state) {
  const { keys } = sizesOf(state);
  return Math.min(keys, lengths[batchesOf(state) > 1 ? state.batch : 0] ?? keys);
}

const given = (parameters) => Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== null));

const SPECIAL = new Map([
  [null, -Infinity],
  ["NaN", NaN],
  ["Infinity", Infinity],
]);

const numberOf = (leaf) => (typeof leaf === "number" ? leaf : SPECIAL.has(leaf) ? SPECIAL.get(leaf) : undefined);

export const readMatrix = (rows) =>
  Array.isArray(rows) ? rows.map((row) => (Array.isArray(row) ? row.map(numberOf) : [])) : null;

const readRanking = (rows) =>
  Array.isArray(rows)
    ? rows.map((keys) => keys.map((one) => ({ ...one, score: numberOf(one.score), weight: numberOf(one.weight) })))
    : null;

// Whether there is something to show; whether it is right is for the check to say.
export const isComplete = (numbers, request) =>
  request.include
    .filter((name) => name !== "diagnostics")
    .every((name) => (name === "ranking" ? Array.isArray(numbers[name]?.[0]) : numbers[name]?.[0]?.length > 0));

const sizesOfAxes = (nested) => (Array.isArray(nested) ? [nested.length, ...sizesOfAxes(nested[0])] : []);

// The diagnostics may be null as a whole, for weights that are no distribution.  Of an answer with leading axes, those
// of a memory, the page shows the slice at `index`.
export function readAnswer(body, index = []) {
  const sliceAt = (nested, rank) => {
    const sizes = sizesOfAxes(nested).slice(0, -rank);
    return index.length ? indexWithin(sizes, index).reduce((part, at) => part[at], nested) : nested;
  };
  const { diagnostics, score_model: scoreModel, normalizer } = body;
  const rows = (name) => (Array.isArray(diagnostics?.[name]) ? sliceAt(diagnostics[name], 1).map(numberOf) : null);
  return {
    ...Object.fromEntries(
      ["scores", "logits", "weights", "output"].map((name) => [name, readMatrix(sliceAt(body[name], 2))]),
    ),
    ranking: readRanking(sliceAt(body.ranking, 2)),
    diagnostics: Object.fromEntries(
      ["entropy", "effective_keys", "softmax_sensitivity"].map((name) => [name, rows(name)]),
    ),
    used: { ...scoreModel, ...normalizer },
  };
}
