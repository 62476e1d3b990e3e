// Twelve heads of 64 × 64, each with a habit that heads of language models have.
import { normals } from "../../reference/random.js";

const [HEADS, LENGTH, FEATURES] = [12, 64, 8];

// Where a query looks from position i, and how sharply; a shift of null is looking by content alone.
const HABITS = [
  ...[{ shift: -1, sharp: 9 }, { shift: 0, sharp: 6 }, { shift: -4, sharp: 5 }, { shift: 2, sharp: 3 }],
  ...[{ shift: -16, sharp: 4 }, { shift: -1, sharp: 1.5 }, { shift: null, sharp: 1 }, { shift: null, sharp: 2.5 }],
  ...[{ shift: null, sharp: 0.2 }, { shift: null, sharp: 5 }, { shift: 0, sharp: 1 }, { shift: -8, sharp: 8 }],
];

// A request with query, key and value of (1, 12, 64, 8): the same numbers at every call.
export function twelveHeads() {
  const random = normals(20170612);
  const tensor = (row) =>
    Array.from({ length: HEADS }, (_, head) => Array.from({ length: LENGTH }, (_, i) => row(HABITS[head], i).map(rounded)));
  const vector = () => Array.from({ length: FEATURES }, random);
  const query = tensor(({ shift, sharp }, i) =>
    (shift === null ? vector() : placeOf(i + shift)).map((number) => number * sharp),
  );
  const key = tensor(({ shift }, j) => (shift === null ? vector() : placeOf(j)));
  const value = tensor(() => vector());
  return { query: [query], key: [key], value: [value], mask: { causal: true } };
}

// A position as points on circles that turn at four speeds.
const placeOf = (position) =>
  [1, 2, 5, 11].flatMap((speed) => {
    const angle = (2 * Math.PI * speed * position) / LENGTH;
    return [Math.cos(angle), Math.sin(angle)];
  });

const rounded = (number) => Number(number.toFixed(3));
