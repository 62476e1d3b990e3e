// What the service is asked about a candidate, and how far each of its numbers is from what the service expects.
import { requestOf } from "../../asking/request.js";
import { STORED } from "../../files/halves.js";
import * as kernel from "../../files/kernel.js";
import { batchesOf, sizesOf } from "../../state/store.js";

// A result whose shape the numbers of the page do not have any more, as {field, expected, received}; null if all fit.
export function misfitOf(state, { candidate, lead }) {
  const [ends, slices] = [kernel.expectedEnds(sizesOf(state)), batchesOf(state)];
  for (const [field, given] of Object.entries(candidate)) {
    const received = [given.length, given[0].length, ...(kernel.rankOf(field) > 1 ? [given[0][0].length] : [])];
    const expected = [slices, ...(ends[field] ?? [])];
    if (`${received}` !== `${expected}`) return { field, expected, received };
  }
  const product = lead.reduce((all, size) => all * size, 1);
  return product === slices ? null : { field: Object.keys(candidate)[0], expected: [slices], received: lead };
}

// The request of the page with all its slices, and the candidate with the leading axes that it came with.
export function questionOf(state, { candidate, lead, kv, dtype }) {
  const { include, top_k: top, memory, dtype: own, mask, ...settings } = requestOf(state);
  const sides = { query: lead, key: kv === null ? lead : [lead[0], kv], value: kv === null ? lead : [lead[0], kv] };
  const tensors = Object.entries(sides)
    .filter(([name]) => state[name])
    .map(([name, axes]) => {
      const slices = name === "query" ? state.query : kernel.distinct(state[name], { lead, kv });
      return [name, kernel.tensorOf(slices, axes)];
    });
  return {
    request: {
      ...settings,
      ...(mask ? { mask: wholeMask(state, mask, lead) } : {}),
      ...Object.fromEntries(tensors),
      dtype,
    },
    candidate: Object.fromEntries(
      Object.entries(candidate).map(([field, slices]) => [field, kernel.tensorOf(slices, lead)]),
    ),
  };
}

// The valid keys of a slice; those without a length of their own have all.
export function lengthAt(state, slice) {
  const { keys } = sizesOf(state);
  return Math.min(keys, state.mask.lengths[slice] ?? keys);
}

// Lengths and prefixes of each batch row, not of the one slice that the page shows.
function wholeMask(state, mask, lead) {
  const [rows, slices] = [lead[0] ?? 1, batchesOf(state)];
  const ofRows = (numbers) =>
    Array.from({ length: rows }, (_, row) => numbers[(row * slices) / rows] ?? numbers.at(-1));
  const lengths = Array.from({ length: rows }, (_, row) => lengthAt(state, (row * slices) / rows));
  const prefixes = state.further["mask/prefix_lengths"];
  return {
    ...mask,
    ...(mask.key_lengths ? { key_lengths: lengths } : {}),
    ...(mask.prefix_lengths ? { prefix_lengths: ofRows(prefixes) } : {}),
  };
}

const storedAs = (dtype, nested) =>
  Array.isArray(nested) ? nested.map((part) => storedAs(dtype, part)) : STORED[dtype](nested);

// What the reference of a check is computed from: the inputs as their type stores them, in float64.
export function referenceRequest({ request, candidate }) {
  const inputs = ["query", "key", "value"].filter((name) => request[name]);
  const stored = Object.fromEntries(inputs.map((name) => [name, storedAs(request.dtype, request[name])]));
  return { ...request, ...stored, dtype: "float64", include: Object.keys(candidate) };
}

const SPECIAL = new Map([
  [null, -Infinity],
  ["NaN", NaN],
  ["Infinity", Infinity],
]);

const numberOf = (leaf) => (SPECIAL.has(leaf) ? SPECIAL.get(leaf) : leaf);

// Every element of a slice as {row, column, expected, received, difference, isWrong}, by rows.
function cellsOf(expected, received, { rtol, atol }) {
  const rows = (slice) => slice.map((row) => (Array.isArray(row) ? row : [row]).map(numberOf));
  const [right, came] = [rows(expected), rows(received)];
  return right.map((line, row) =>
    line.map((number, column) => {
      const own = came[row][column];
      const isSame = own === number || (Number.isNaN(own) && Number.isNaN(number));
      const difference = isSame ? 0 : own - number;
      const isWrong = !isSame && !(Math.abs(difference) <= atol + rtol * Math.abs(number));
      return { row, column, expected: number, received: own, difference, isWrong };
    }),
  );
}

const flatten = (nested, axes) =>
  axes === 0 ? [nested] : axes === 1 ? nested : nested.flatMap((part) => flatten(part, axes - 1));

// For each result the cells of every slice: `reference` is the answer to referenceRequest.
export function differencesOf({ candidate, lead }, reference, tolerance) {
  return Object.fromEntries(
    kernel.FIELDS.filter((field) => candidate[field]).map((field) => {
      const slices = flatten(reference[field], lead.length);
      return [field, candidate[field].map((slice, at) => cellsOf(slices[at], slice, tolerance))];
    }),
  );
}

// The first wrong cell in the order of the calculation, as {field, slice, …}; null if there is none.
export function firstWrong(differences) {
  for (const [field, slices] of Object.entries(differences))
    for (const [slice, cells] of slices.entries()) {
      const found = cells.flat().find(({ isWrong }) => isWrong);
      if (found) return { field, slice, ...found };
    }
  return null;
}

// Differences that are not finite come first, then the largest.
export function largestOf(slices, count) {
  const size = ({ difference }) => (Number.isFinite(difference) ? Math.abs(difference) : Infinity);
  return slices
    .flatMap((cells, slice) => cells.flat().map((cell) => ({ slice, ...cell })))
    .filter(({ difference }) => difference !== 0)
    .sort((one, other) => (size(one) === size(other) ? 0 : size(other) - size(one)))
    .slice(0, count);
}
