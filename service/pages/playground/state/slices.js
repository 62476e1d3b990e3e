// Leading axes: the slices of Q, K and V in batch rows, and in each row in heads where there are any.
//
// state.heads is null, or {query, key} with the numbers of heads; keys and values have the same one, and it divides that of
// the queries.  A tensor with a single batch row is shared by all rows, a head of keys by as many heads of queries.
export const MAX_SLICES = 64;

// In one tensor, and in the scores of all slices.
export const MAX_NUMBERS = 1 << 18;

export const headsOf = ({ heads }, axis) => (axis === "query" ? heads?.query : heads?.key) ?? 1;

const batchRowsIn = (state, axis) => (state[axis]?.length ?? 0) / headsOf(state, axis);

// Batch rows and heads that all tensors have together.
export function leadingOf(state) {
  const rows = Math.max(1, ...["query", "key", "value"].map((axis) => batchRowsIn(state, axis)));
  return { rows, heads: headsOf(state, "query") };
}

// The batch row and the head of slice `batch`.
export function placeOf(state, batch) {
  const { rows, heads } = leadingOf(state);
  return { row: Math.min(rows - 1, Math.floor(batch / heads)), head: batch % heads };
}

// Which slice of a tensor belongs to slice `batch` of the scores.
export function sliceAt(state, axis, batch) {
  const { row, head } = placeOf(state, batch);
  const own = headsOf(state, axis);
  const shared = headsOf(state, "query") / own;
  return (batchRowsIn(state, axis) > 1 ? row : 0) * own + Math.floor(head / shared);
}

// All slices of a tensor as a request has them: (L, D), (B, L, D) or (B, H, L, D).
export function tensorOf(state, axis) {
  const slices = state[axis];
  if (state.heads) {
    const own = headsOf(state, axis);
    return Array.from({ length: slices.length / own }, (_, row) => slices.slice(row * own, (row + 1) * own));
  }
  return leadingOf(state).rows > 1 ? slices : slices[0];
}

// The axes of an answer in front of queries and keys.
export function leadingAxesOf(state) {
  const { rows, heads } = leadingOf(state);
  if (state.heads) return [rows, heads];
  return rows > 1 ? [rows] : [];
}

// Where slice `batch` stands in an answer.
export function indexAmongSlices(state, batch) {
  const { row, head } = placeOf(state, batch);
  return [row, head].slice(0, leadingAxesOf(state).length);
}

// Where the slice of a tensor stands in what `tensorOf` returns.
export function ownIndexOf(state, axis, batch) {
  const slice = sliceAt(state, axis, batch);
  const own = headsOf(state, axis);
  if (state.heads) return [Math.floor(slice / own), slice % own];
  return leadingOf(state).rows > 1 ? [state[axis].length > 1 ? slice : 0] : [];
}

// Whether heads and slices go together, and are not too many.
export function areSlices({ query, key, value, heads }) {
  const state = { query, key, value, heads };
  const { rows, heads: count } = leadingOf(state);
  const tensors = ["query", "key", "value"].filter((axis) => state[axis]);
  return (
    Number.isInteger(rows) &&
    count % headsOf(state, "key") === 0 &&
    tensors.every((axis) => [1, rows].includes(batchRowsIn(state, axis))) &&
    rows * count <= MAX_SLICES &&
    rows * count * query[0].length * key[0].length <= MAX_NUMBERS &&
    tensors.every((axis) => state[axis].length * state[axis][0].length * state[axis][0][0].length <= MAX_NUMBERS)
  );
}

// Sets other numbers of heads: the features of all heads in a row are those of the packed row, as after a projection.
// Returns false, and changes nothing, where they do not divide the features.
export function setHeads(state, query, key) {
  const next = { ...state, heads: query > 1 ? { query, key } : null };
  for (const axis of ["query", "key", "value"].filter((name) => state[name])) {
    const packed = pack(state[axis], headsOf(state, axis));
    const wanted = axis === "query" ? query : key;
    if (packed[0][0].length % wanted) return false;
    next[axis] = packed.flatMap((matrix) => split(matrix, wanted));
  }
  if (query % key || !areSlices(next)) return false;
  for (const axis of ["heads", "query", "key", "value"]) state[axis] = next[axis];
  state.batch = 0;
  return true;
}

const pack = (slices, heads) =>
  Array.from({ length: slices.length / heads }, (_, row) =>
    slices[0].map((_, line) => slices.slice(row * heads, (row + 1) * heads).flatMap((matrix) => matrix[line])),
  );

function split(matrix, heads) {
  const width = matrix[0].length / heads;
  return Array.from({ length: heads }, (_, head) =>
    matrix.map((line) => line.slice(head * width, (head + 1) * width)),
  );
}
