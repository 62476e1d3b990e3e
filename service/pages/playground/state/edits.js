// Edits of the tensors; keys stay paired with their values, and features of queries with those of keys.
import { isVisible } from "../reference/visibility.js";
import { cellMaskOf, positionsOf } from "../asking/request.js";
import { growFurther, shrinkFurther } from "./further.js";
import { headsOf } from "./slices.js";
import { LIMIT, sizesOf, sliceOf } from "./store.js";

const COUNTED = {
  query: { row: "query", column: "feature" },
  key: { row: "key", column: "feature" },
  value: { row: "key", column: "value" },
};

export const axisOf = (grid, direction) => COUNTED[grid][direction];

// The grids that an edit concerns: those whose sizes agree and whose axes are the same.  A memory is edited nowhere.
function partners(state, grid, direction, paired) {
  if (state.memory) return [grid];
  const { keys, values, queryFeatures, keyFeatures } = sizesOf(state);
  if (direction === "row" && grid !== "query" && state.value && keys === values) return ["key", "value"];
  if (direction === "column" && grid !== "value" && paired && queryFeatures === keyFeatures) return ["query", "key"];
  return [grid];
}

export function canGrow(state, grid, direction) {
  const matrix = sliceOf(state, grid);
  return (direction === "row" ? matrix.length : matrix[0].length) < LIMIT;
}

export function canShrink(state, grid, direction) {
  const matrix = sliceOf(state, grid);
  return grid === "value" && direction === "column"
    ? true
    : (direction === "row" ? matrix.length : matrix[0].length) > 1;
}

export function insert(state, grid, direction, paired) {
  const touched = partners(state, grid, direction, paired);
  if (direction === "row") growFurther(state, touched);
  for (const name of touched) {
    for (const matrix of state[name]) {
      if (direction === "row") matrix.push(matrix[0].map(() => 0));
      else for (const row of matrix) row.push(0);
    }
  }
}

// Returns the grids that lost a row or column.
export function remove(state, grid, direction, index, paired) {
  if (grid === "value" && direction === "column" && sizesOf(state).valueFeatures === 1) {
    state.value = null;
    return [];
  }
  const touched = partners(state, grid, direction, paired);
  for (const name of touched) {
    for (const matrix of state[name]) {
      if (direction === "row") matrix.splice(index, 1);
      else for (const row of matrix) row.splice(index, 1);
    }
  }
  // An axis that two grids share loses its name only when it is gone from both.
  const alone = touched.length === 1 && (direction === "row" ? grid !== "query" && state.value : grid !== "value");
  if (!alone) state.names[axisOf(grid, direction)].splice(index, 1);
  if (direction === "row") {
    shrinkMask(state.mask, touched, index);
    shrinkFurther(state, touched, index);
  }
  return touched;
}

function shrinkMask({ allowed }, touched, index) {
  if (allowed && touched.includes("query")) allowed.splice(index, 1);
  if (allowed && touched.includes("key")) for (const row of allowed) row.splice(index, 1);
}

// In the first cell a pasted block replaces the matrix; elsewhere it overwrites the cells from there on, and the matrix
// grows where it must, and with it the grids that an inserted row or column concerns.  Other slices get the same size, with
// zeros where they had nothing.
export function paste(state, grid, { block, row, column, paired }) {
  const matrix = sliceOf(state, grid);
  const isWhole = row === 0 && column === 0;
  while (matrix.length < row + block.length) insert(state, grid, "row", paired);
  while (matrix[0].length < column + block[0].length) insert(state, grid, "column", paired);
  const rows = isWhole ? block.length : matrix.length;
  const columns = isWhole ? block[0].length : matrix[0].length;
  for (const slice of state[grid]) {
    const pasted = slice === matrix ? block : [];
    const next = Array.from({ length: rows }, (_, i) =>
      Array.from({ length: columns }, (_, j) => pasted[i - row]?.[j - column] ?? slice[i]?.[j] ?? 0),
    );
    slice.splice(0, slice.length, ...next);
  }
}

export function addValues(state) {
  const { keys } = sizesOf(state);
  state.value = Array.from({ length: headsOf(state, "key") }, () =>
    Array.from({ length: keys }, (_, row) => Array.from({ length: keys }, (_, column) => Number(row === column))),
  );
}

// A mask of cells has the size of the scores; new cells are visible.
export function fitMask(state) {
  const { queries, keys } = sizesOf(state);
  const { allowed } = state.mask;
  if (!allowed) return;
  state.mask.allowed = Array.from({ length: queries }, (_, row) =>
    Array.from({ length: keys }, (_, key) => allowed[row]?.[key] ?? true),
  );
}

// Whatever mask there was becomes one of single cells, which says the same; a formula stays beside it.
export function freeMask(state) {
  const { further } = state;
  if (state.mask.kind === "custom" && state.mask.allowed && !further["mask/key_allowed"]) return;
  const { queries, keys } = sizesOf(state);
  const [mask, positions] = [cellMaskOf(state), positionsOf(state)];
  state.mask.allowed = Array.from({ length: queries }, (_, row) =>
    Array.from({ length: keys }, (_, key) => isVisible(mask, row, key, positions)),
  );
  state.mask.kind = "custom";
  further["mask/prefix_lengths"] = null;
  further["mask/key_allowed"] = null;
}

// The screen may be older than the sizes: a cell that no longer exists toggles nothing.
export function toggleCell(state, row, key) {
  freeMask(state);
  const cells = state.mask.allowed[row] ?? [];
  if (key < cells.length) cells[key] = !cells[key];
}

// A key that any query sees is hidden from all of them; a key that none sees is shown to all.
export function toggleKey(state, key) {
  freeMask(state);
  const { allowed } = state.mask;
  if (key >= allowed[0].length) return;
  const show = allowed.every((row) => !row[key]);
  for (const row of allowed) row[key] = show;
}
