// The memory that keys and values come from, if any; typed ones stay beside it, for the way back.
//
// state.memory is null, or {name, status, about, slices, typed, batch}.  `status` is loading, failed, shown (its numbers are key
// and value of the state) or large (the page has its shape alone).  `about` is its description, null until it is loaded, and `batch` the slice to
// show then.
import { NAME_LIMIT, namesOf } from "../words/names.js";
import { MAX_SLICES, sliceAt, tensorOf } from "./slices.js";
import { LIMIT, batchesOf, sizesOf } from "./store.js";

export const MEMORY_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

const MAX_NUMBERS = 1 << 17;

export const waitFor = (name, typed, batch) => ({ name, status: "loading", about: null, slices: 1, typed, batch });

export function pick(draft, name) {
  const { key, value, names, memory, batch } = draft;
  draft.memory = waitFor(name, memory?.typed ?? { query: null, key, value, names: names.key, heads: null }, batch);
}

// Back to typed keys and values, and to the slices of the queries for which the memory had none.
export function release(draft) {
  const { query, key, value, names, heads } = draft.memory.typed;
  Object.assign(draft, { memory: null, query: query ?? draft.query, key, value, heads });
  draft.names.key = names;
  fitBatch(draft);
}

export function fail(draft) {
  draft.memory.status = "failed";
}

// `contents` holds keys and values as slices, and labels; null for a memory that is too large to be shown.
export function fill(draft, about, contents) {
  const { memory } = draft;
  const { key, value, labels } = contents ?? { ...memory.typed, labels: null };
  const slices = countOf(leadingOf(about));
  Object.assign(memory, { about, slices, status: contents ? "shown" : "large" });
  Object.assign(draft, { key, value });
  draft.names.key = (labels ?? []).map((label) => label.slice(0, NAME_LIMIT));
  if (!contents) {
    if (draft.mask.kind === "custom") draft.mask.kind = "none";
    draft.mask.allowed = null;
  }
  if (draft.heads || (slices > 1 && draft.query.length > 1 && draft.query.length !== slices)) {
    const { key: typedKey, value: typedValue } = memory.typed;
    const before = { query: draft.query, key: typedKey, value: typedValue, heads: draft.heads };
    const query = draft.query[sliceAt(before, "query", draft.batch)];
    Object.assign(memory.typed, { query: draft.query, heads: draft.heads });
    Object.assign(draft, { query: [query], heads: null });
  }
  draft.batch = memory.batch;
  fitBatch(draft);
}

function fitBatch(draft) {
  draft.batch = Math.min(draft.batch, batchesOf(draft) - 1);
}

export const isAwaited = ({ memory }) => memory?.status === "loading" || memory?.status === "failed";

// Axes in front of keys and features, as an answer has them: the layout bshd has its heads behind its keys.
const orderOf = (shape, layout) =>
  shape.length === 4 && layout === "bshd" ? [shape[0], shape[2], shape[1], shape[3]] : shape;

// Keys and values broadcast to these sizes, aligned at their ends.
export function leadingOf({ shape, layout }) {
  const sides = [shape.key, shape.value ?? []].map((each) => orderOf(each, layout).slice(0, -2).reverse());
  const rank = Math.max(...sides.map(({ length }) => length));
  return Array.from({ length: rank }, (_, axis) => Math.max(...sides.map((side) => side[axis] ?? 1))).reverse();
}

export const countOf = (shape) => shape.reduce((product, size) => product * size, 1);

export function isSmall({ shape, keys, layout }) {
  const shapes = [shape.key, ...(shape.value ? [shape.value] : [])];
  return (
    keys <= LIMIT &&
    countOf(leadingOf({ shape, layout })) <= MAX_SLICES &&
    shapes.every((each) => each.at(-1) <= LIMIT && countOf(each) <= MAX_NUMBERS)
  );
}

// The index of a slice on each leading axis.
export const indexAt = (leading, slice) =>
  leading.map((size, axis) => Math.floor(slice / countOf(leading.slice(axis + 1))) % size);

// The same index for a tensor that has only some of the axes, or is shared along some; aligned at their ends.
export const indexWithin = (sizes, index) =>
  sizes.map((size, axis) => (index[axis + index.length - sizes.length] ?? 0) % size);

// Which slice the page shows, of all that keys and values have together.
export const indexOf = ({ memory, batch }) => (memory?.about ? indexAt(leadingOf(memory.about), batch) : []);

// Scores have the axes of the keys; queries have none of their own.
export const scoreAxesOf = ({ memory }) =>
  memory?.about ? orderOf(memory.about.shape.key, memory.about.layout).slice(0, -2) : [];

export const scoreIndexOf = (state) => indexWithin(scoreAxesOf(state), indexOf(state));

// Rows of a batch, which lengths and prefixes are given for.
export const batchRowsOf = (state) => scoreAxesOf(state)[0] ?? 1;

// What PUT takes for the keys and values of the state.
export function bodyOf(state) {
  const { keys } = sizesOf(state);
  const own = (axis) => (state.heads || state[axis].length > 1 ? tensorOf(state, axis) : state[axis][0]);
  const isNamed = state.names.key.slice(0, keys).some((name) => name !== null && name !== "");
  return {
    key: own("key"),
    ...(state.value ? { value: own("value") } : {}),
    ...(isNamed ? { labels: { key: namesOf(state, "key", keys) } } : {}),
  };
}
