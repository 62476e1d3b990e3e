// What a state computes, apart from how it is looked at.
import { isVisible } from "../reference/visibility.js";
import { cellMaskOf, positionsOf } from "../asking/request.js";
import { FURTHER } from "./further.js";
import { isLarge, sizesOf } from "./store.js";

const EDITED = ["query", "key", "value", "heads", "names", "scoreModel", "normalizer", "mask", "further", "memory"];

// Fields that change numbers by themselves.
const SIMPLE = FURTHER.map(({ place }) => place).filter((place) => /^(softcap|bias|position\/|past_key|dtype)/.test(place));

export const sameContent = (one, other) =>
  EDITED.every((part) => one[part] === other[part]);

const isSame = (one, other) => one === other || JSON.stringify(one) === JSON.stringify(other);

// Whether one answer is that to both, also to states that were loaded one after the other.
export const sameNumbers = (one, other) => EDITED.every((part) => part === "names" || isSame(one[part], other[part]));

// A text that two states share if and only if their numbers are the same: a mask counts by what it hides.
export function computedBy(state) {
  const { query, key, value, heads, scoreModel, normalizer, further, memory } = state;
  const { temperature } = normalizer.parameters;
  const parameters = { ...normalizer.parameters, ...(temperature === 1 ? { temperature: null } : {}) };
  const lengths = state.mask.kind === "lengths" ? state.mask.lengths : null;
  return JSON.stringify([
    ...[query, key, value, heads, scoreModel, normalizer.name, parameters, lengths],
    ...SIMPLE.map((place) => further[place]),
    ...[further["score_modifier/formula"], further["score_modifier/parameters"]],
    ...[further["mask/formula"], further["mask/parameters"], memory?.name, visibleCells(state)],
  ]);
}

function visibleCells(state) {
  if (isLarge(state)) return null;
  const { queries, keys } = sizesOf(state);
  const first = { ...state, batch: 0 };
  const [mask, positions] = [cellMaskOf(first), positionsOf(first)];
  return Array.from({ length: queries }, (_, row) =>
    Array.from({ length: keys }, (_, key) => Number(isVisible(mask, row, key, positions))).join(""),
  );
}
