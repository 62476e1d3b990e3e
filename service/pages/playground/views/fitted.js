// Texts in drawings, which have no line breaks and no ellipsis of their own.
import { widthOf } from "../page/measure.js";

// The text, cut where it is wider than `room` pixels.
export function fitted(text, room, fontPixels) {
  if (widthOf(text, fontPixels) <= room) return text;
  const letters = [...text];
  while (letters.length && widthOf(`${letters.join("")}…`, fontPixels) > room) letters.pop();
  return letters.length ? `${letters.join("").trimEnd()}…` : "";
}

// Moves positions apart until neighbours are `gap` pixels from each other, within `low` and `high` where there is room:
// half way between moving them down and moving them up.
export function spread(positions, gap, low, high) {
  const order = positions.map((_, index) => index).sort((one, other) => positions[one] - positions[other] || one - other);
  const backwards = order.toReversed();
  const down = (places) => moved(places, order, Math.max, low, gap);
  const up = (places) => moved(places, backwards, Math.min, high, -gap);
  const [first, second] = [up(down(positions)), down(up(positions))];
  return first.map((place, index) => (place + second[index]) / 2);
}

function moved(places, order, choose, end, gap) {
  const next = [...places];
  let limit = end;
  for (const index of order) {
    next[index] = choose(next[index], limit);
    limit = next[index] + gap;
  }
  return next;
}
