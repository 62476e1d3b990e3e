// What slices are called: batch rows, heads, or both.
import { leadingOf, placeOf } from "../state/slices.js";
import { batchesOf } from "../state/store.js";
import { t } from "./i18n.js";

export function nameOfSlice(state, slice) {
  if (!state.heads) return t("batch.entry", { number: slice + 1, count: batchesOf(state) });
  const { row, head } = placeOf(state, slice);
  const { rows, heads } = leadingOf(state);
  const values = { row: row + 1, head: head + 1, heads };
  return t(rows > 1 ? "batch.row_and_head" : "batch.head", values);
}

// The same without the number of all of them.
export function shortNameOfSlice(state, slice) {
  const { row, head } = placeOf(state, slice);
  const kind = !state.heads ? "row" : leadingOf(state).rows > 1 ? "both" : "head";
  return t(`heads.name_${kind}`, { row: row + 1, head: head + 1 });
}
