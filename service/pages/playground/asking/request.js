// From the state to what the service is asked, and from its answer to numbers.
import { hasFormulas, membersOf, positionOf, usesPositions } from "../state/further.js";
import { indexAmongSlices, leadingOf, placeOf, tensorOf } from "../state/slices.js";
import { batchesOf, isLarge, sizesOf, sliceOf } from "../state/store.js";
import { batchRowsOf, indexOf, indexWithin, scoreIndexOf } from "../state/used_memory.js";
import { biasAt, positionAt } from "./one_slice.js";

const INCLUDE = ["scores", "logits", "weights", "output", "diagnostics"];

// Fields of an answer from a memory that has too many keys for a map.
const RANKED = ["output", "ranking"];

const TOP_KEYS = 10;

// What the service is asked: all slices at once.
export function wholeRequestOf(state) {
  const { further } = state;
  if (state.memory || batchesOf(state) === 1) return requestOf(state);
  const own = { ...requestOf(state), ...cachedOf(state, tensorsOfAll(state)) };
  const mask = maskOf(state, Array.from({ length: leadingOf(state).rows }, (_, row) => row));
  return { ...own, ...given({ mask, bias: further.bias, position: positionOf(state) }) };
}

// The same for the slice on the screen alone.
export function requestOf(state) {
  const { further } = state;
  const members = {
    softcap: further.softcap,
    bias: biasAt(state, indexAmongSlices(state, state.batch)),
    position: positionAt(state),
    mask: maskOf(state),
    score_modifier: withNamed(membersOf(state, "score_modifier")),
    positions: positionsOf(state),
    dtype: further.dtype,
  };
  return {
    query: sliceOf(state, "query"),
    ...keysOf(state),
    score_model: { name: state.scoreModel.name, ...given(withNamed(state.scoreModel.parameters)) },
    normalizer: { name: state.normalizer.name, ...given(state.normalizer.parameters) },
    ...given(members),
    include: (isLarge(state) ? RANKED : INCLUDE).filter((name) => name !== "output" || sizesOf(state).values),
    ...(isLarge(state) ? { top_k: TOP_KEYS } : {}),
  };
}

const NAME = /[\p{L}_][\p{L}\p{N}_]*/gu;

// A formula with those of its parameters that it names.  The others stay on the page, for the next formula.
function withNamed(members) {
  if (!members?.formula || !members.parameters) return members;
  const names = new Set(members.formula.match(NAME));
  const named = Object.entries(members.parameters).filter(([name]) => names.has(name));
  return given({ ...members, parameters: named.length ? Object.fromEntries(named) : null });
}

// Whether numbers depend on which batch row or head they are of: formulas and their parameters may read both.
const readsPlace = (state) =>
  hasFormulas(state) || Object.values(state.scoreModel.parameters.parameters ?? {}).some((one) => one?.per_head);

// Whether the slice on the screen has its numbers only among all slices.
export const isAskedWhole = (state) => !state.memory && batchesOf(state) > 1 && readsPlace(state);

// What asks about the slice on the screen alone, as far as it can be asked about alone: an explanation, or its code.
export function sliceRequestOf(state) {
  return isAskedWhole(state)
    ? { request: wholeRequestOf(state), index: indexAmongSlices(state, state.batch) }
    : { request: requestOf(state), index: scoreIndexOf(state) };
}

// Where the slice on the screen stands in the answer.
export const answerIndexOf = (state) => (state.memory ? indexOf(state) : indexAmongSlices(state, state.batch));

// A memory whose numbers are shown is computed with in the numbers of this page, and in that version alone.
function keysOf(state) {
  const { memory } = state;
  if (!memory) return cachedOf(state, tensorsOf(state));
  if (isLarge(state)) return { memory: memory.name };
  return { memory: { name: memory.name, version: memory.about.version }, dtype: "float64" };
}

// Keys and values of the slice as the page has them.
export function tensorsOf(state) {
  const value = sliceOf(state, "value");
  return { key: sliceOf(state, "key"), ...(value ? { value } : {}) };
}

function tensorsOfAll(state) {
  const names = ["query", "key", "value"].filter((axis) => state[axis]);
  return Object.fromEntries(names.map((axis) => [axis, tensorOf(state, axis)]));
}

// The first keys and values may be those of a cache.
function cachedOf(state, { query, key, value }) {
  const past = pastOf(state);
  const tensors = { ...given({ query: query ?? null }), key, ...(value ? { value } : {}) };
  if (!past) return tensors;
  const rowsOf = (tensor, from, to) =>
    Array.isArray(tensor[0][0]) ? tensor.map((part) => rowsOf(part, from, to)) : tensor.slice(from, to);
  for (const axis of ["key", "value"].filter((name) => tensors[name])) {
    tensors[`past_${axis}`] = rowsOf(tensors[axis], 0, past);
    tensors[axis] = rowsOf(tensors[axis], past);
  }
  return tensors;
}

// One key at least is new.
export const pastOf = (state) =>
  state.memory ? 0 : Math.min(state.further.past_key ?? 0, sizesOf(state).keys - 1);

export const positionsOf = (state) => membersOf(state, "positions");

// `rows` are the batch rows that are sent.
export function maskOf(state, rows = [rowOf(state)]) {
  const { formula, parameters } = withNamed(membersOf(state, "mask")) ?? {};
  const mask = { ...cellMaskOf(state, rows), ...given({ formula: formula ?? null, parameters: parameters ?? null }) };
  return Object.keys(mask).length ? mask : null;
}

// The masks that the page knows by itself: all but the formula.
export function cellMaskOf(state, rows = [rowOf(state)]) {
  const { prefix_lengths: prefixes, key_allowed: keys } = membersOf(state, "mask") ?? {};
  const prefix = prefixes ? forRows(state, rows, (row) => prefixes[row] ?? prefixes.at(-1)) : null;
  const mask = { ...namedMaskOf(state, rows), ...given({ prefix_lengths: prefix, key_allowed: keys ?? null }) };
  return Object.keys(mask).length ? mask : null;
}

export const usesOffset = (state) =>
  ["causal", "window"].includes(state.mask.kind) || hasFormulas(state) || usesPositions(state);

function namedMaskOf(state, rows) {
  const { kind, left, right, lengths, allowed } = state.mask;
  const positions = usesOffset(state) ? given({ offset: offsetOf(state) }) : {};
  if (kind === "causal") return { causal: true, ...positions };
  if (kind === "window") return { window: { left, right }, ...positions };
  if (kind === "lengths")
    return { key_lengths: forRows(state, rows, (row) => lengthOf(lengths, state, row)), ...positions };
  return { ...(kind === "custom" && allowed ? { allowed } : {}), ...positions };
}

// Where query 0 stands, unless it is where it would stand anyway; written positions leave no room for a default.
function offsetOf(state) {
  const past = pastOf(state);
  const offset = state.mask.offset ?? (positionsOf(state) ? 0 : past);
  return offset || (past && state.mask.offset === 0) ? offset : null;
}

// One number for each batch row; of a memory all have that of the slice on the screen.
const forRows = (state, rows, numberOf) =>
  state.memory ? Array(batchRowsOf(state)).fill(numberOf(rowOf(state))) : rows.map(numberOf);

// The batch row on the screen.
export const rowOf = (state) =>
  state.memory ? (batchesOf(state) > 1 ? state.batch : 0) : placeOf(state, state.batch).row;

export function lengthOf(lengths, state, row = rowOf(state)) {
  const { keys } = sizesOf(state);
  return Math.min(keys, lengths[row] ?? keys);
}

const given = (parameters) => Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== null));

const SPECIAL = new Map([
  [null, -Infinity],
  ["NaN", NaN],
  ["Infinity", Infinity],
]);

export const numberOf = (leaf) => (typeof leaf === "number" ? leaf : SPECIAL.has(leaf) ? SPECIAL.get(leaf) : undefined);

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

// The diagnostics may be null as a whole, for weights that are no distribution.  Of an answer with leading axes the page
// shows the slice at `index`.
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
