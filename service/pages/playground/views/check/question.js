// What the service is asked about a candidate, and how far each of its numbers is from what the service expects.
import { defaultSlopes } from "../../asking/one_slice.js";
import { numberOf, wholeRequestOf } from "../../asking/request.js";
import { STORED } from "../../files/halves.js";
import * as kernel from "../../files/kernel.js";
import { leadingOf, tensorOf } from "../../state/slices.js";
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

// The leading axes of the question: the heads of the page, or else those that the candidate came with.
export function axesOf(state, { lead }) {
  const { rows, heads } = leadingOf(state);
  return state.heads ? [rows, heads] : lead;
}

// The request of the page with all its slices, and the candidate with the same leading axes.  Keys and values are all
// there are, also those of a cache: where the queries stand behind it, the mask says so.
export function questionOf(state, options) {
  const whole = wholeRequestOf(state);
  const { include, top_k: top, memory, past_key: past, past_value: pastValue, ...settings } = whole;
  const lead = axesOf(state, options);
  const axes = ["query", "key", "value"].filter((name) => state[name]);
  const own = (axis) => (state.heads ? tensorOf(state, axis) : slicesOf(state, axis, options));
  return {
    request: {
      ...settings,
      ...(state.heads ? {} : inAxes(state, whole, lead)),
      ...Object.fromEntries(axes.map((axis) => [axis, own(axis)])),
      dtype: options.dtype,
    },
    candidate: Object.fromEntries(
      Object.entries(options.candidate).map(([field, slices]) => [field, kernel.tensorOf(slices, lead)]),
    ),
  };
}

function slicesOf(state, axis, { lead, kv }) {
  if (axis === "query") return kernel.tensorOf(state.query, lead);
  return kernel.tensorOf(kernel.distinct(state[axis], { lead, kv }), kv === null ? lead : [lead[0], kv]);
}

const BIAS_RANK = 3;

const rankOf = (nested) => (Array.isArray(nested) ? 1 + rankOf(nested[0]) : 0);

// What the page has for each of its batch rows, where the candidate has heads among them.
function inAxes(state, { mask, bias, position }, lead) {
  const isSplit = rankOf(bias) === BIAS_RANK && lead.length > 1;
  const isOfHeads = position?.name === "alibi" && position.slopes === undefined && lead.length > 1;
  return {
    ...(mask ? { mask: wholeMask(state, mask, lead) } : {}),
    ...(isSplit ? { bias: bias.length > 1 ? kernel.tensorOf(bias, lead) : [bias] } : {}),
    ...(isOfHeads ? { position: { ...position, slopes: defaultSlopes(1)[0] } } : {}),
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
