// What rows and columns are called: by the reader, by the example in both languages, or by their number.
import { t } from "./i18n.js";

export const NAME_LIMIT = 60;

export function nameOf(state, axis, index) {
  const name = state.names[axis][index];
  if (typeof name === "string" && name !== "") return name;
  return name?.[state.language] ?? t(`default.${axis}`, { number: index + 1 });
}

export const namesOf = (state, axis, count) => Array.from({ length: count }, (_, index) => nameOf(state, axis, index));

export function rename(state, axis, index, text) {
  const names = state.names[axis];
  while (names.length <= index) names.push(null);
  names[index] = text.trim().slice(0, NAME_LIMIT) || null;
}
