// What the arrays of a file are: Q, K, V and a mask for the page, and what a person's kernel computed for them.
import { shortFloat32 } from "./halves.js";
import { FileProblem, require, shapeText } from "./problem.js";

const NAMES = {
  query: ["q", "query", "queries"],
  key: ["k", "key", "keys"],
  value: ["v", "value", "values"],
  mask: ["mask", "allowed"],
  key_lengths: ["key_lengths"],
  output: ["out", "output", "o", "context"],
  weights: ["weights", "weight", "attn", "attention", "probs", "attn_weights", "attention_weights"],
  scores: ["scores", "score"],
  logsumexp: ["lse", "logsumexp"],
};

// What can be checked, in the order in which it is computed: an early one that is wrong makes later ones wrong.
export const FIELDS = ["scores", "logsumexp", "weights", "output"];

const INPUTS = ["query", "key", "value"];

// Inputs of attention that the page does not have: to pass over them would check something else.
const FOREIGN = ["bias", "past_key", "past_value", "positions"];

export const NAMED = Object.values(NAMES).map(([name]) => name);

export const roleOf = (name) => Object.keys(NAMES).find((role) => NAMES[role].includes(name.toLowerCase()));

// Returns {byRole, unused}: arrays by what they are, and the names of those that are nothing of it.
export function assign(arrays) {
  const [byRole, unused] = [{}, []];
  for (const array of arrays) {
    require(!FOREIGN.includes(array.name.toLowerCase()), "file.foreign", { name: array.name });
    const role = roleOf(array.name);
    if (!role) unused.push(array.name);
    else if (byRole[role]) throw new FileProblem("file.twice", { name: array.name, other: byRole[role].name });
    else byRole[role] = array;
  }
  return { byRole, unused };
}

const product = (sizes) => sizes.reduce((all, size) => all * size, 1);

// The type that the kernel is checked as: the coarsest of its inputs and results.
const DTYPES = ["float64", "float32", "float16", "bfloat16"];

export const dtypeOf = (arrays) => DTYPES[Math.max(0, ...arrays.map(({ dtype }) => DTYPES.indexOf(dtype)))];

const numbersOf = ({ dtype, values }) => (dtype === "float32" ? values.map(shortFloat32) : values);

// Nested lists of these sizes.
function nest(values, sizes) {
  if (sizes.length < 2) return values;
  const step = values.length / sizes[0];
  return Array.from({ length: sizes[0] }, (_, index) =>
    nest(values.slice(index * step, (index + 1) * step), sizes.slice(1)),
  );
}

const own = (number) =>
  Number.isNaN(number) ? "NaN" : number === Infinity ? "Infinity" : number === -Infinity ? null : number;

// Slices of a result, as JSON has numbers that are not finite; `rank` counts the axes of a slice.
export function slicesOf(array, rank) {
  const sizes = array.shape.slice(array.shape.length - rank);
  return nest(array.values.map(own), [product(array.shape) / product(sizes), ...sizes]);
}

export const rankOf = (field) => (field === "logsumexp" ? 1 : 2);

// Q, K and V: {tensors, lead, kv} with slices of each, the leading axes of Q, and the heads of K if they are fewer.
export function inputsOf(byRole) {
  for (const name of ["query", "key"]) require(byRole[name], "file.missing", { name });
  const present = INPUTS.filter((name) => byRole[name]);
  const { query, key } = byRole;
  for (const name of present) checkInput(byRole[name], query);
  const [lead, keyLead] = [query, key].map(({ shape }) => shape.slice(0, -2));
  const heads = lead.length === 2 ? lead[1] / keyLead[1] : 1;
  const expected = shapeText(lead);
  const isShared = keyLead.every((size, axis) => size === lead[axis] || (axis === 1 && Number.isInteger(heads)));
  require(isShared, "file.lead", { name: key.name, received: shapeText(keyLead), expected });
  if (byRole.value) {
    const { name, shape } = byRole.value;
    const wanted = shapeText([...keyLead, key.shape.at(-2), "Dv"]);
    require(`${shape.slice(0, -1)}` === `${key.shape.slice(0, -1)}`, "file.shape", {
      name,
      received: shapeText(shape),
      expected: wanted,
    });
  }
  const tensors = Object.fromEntries(
    present.map((name) => [
      name,
      nest(numbersOf(byRole[name]), [product(byRole[name].shape.slice(0, -2)), ...byRole[name].shape.slice(-2)]),
    ]),
  );
  return { tensors, lead, kv: heads > 1 ? keyLead[1] : null };
}

// Throws FileProblem for an input that is not finite, or whose axes are not as many as those of the queries.
export function checkInput({ name, shape, dtype, values }, query) {
  require(shape.length >= 2 && shape.length <= 4, "file.rank", { name, received: shapeText(shape) });
  require(shape.every((size) => size > 0), "file.shape", { name, received: shapeText(shape), expected: "≥ 1" });
  require(dtype !== "bool", "file.dtype", { name, received: dtype });
  require(shape.length === query.shape.length, "file.lead", {
    name,
    received: shapeText(shape),
    expected: shapeText(query.shape),
  });
  const at = values.findIndex((value) => !Number.isFinite(value));
  require(at < 0, "file.finite", { name, at, received: String(values[at]) });
}

// Of the heads of K and V, which stand once for each head of Q that shares them, one of each.
export const distinct = (slices, { lead, kv }) =>
  kv === null ? slices : slices.filter((_, at) => (at % lead[1]) % (lead[1] / kv) === 0);

// Slices as the service takes a tensor with these leading axes; one slice is shared by all.
export function tensorOf(slices, lead) {
  if (slices.length !== product(lead)) return slices[0];
  return lead.length ? nest(slices, lead) : slices[0];
}

// A mask of booleans, true for a key that may be seen: rows of queries.
export function maskOf({ name, shape, dtype, values }, queries, keys) {
  const expected = `bool (${queries}, ${keys})`;
  const isMask =
    dtype === "bool" && product(shape) === queries * keys && shape.at(-1) === keys && shape.at(-2) === queries;
  require(isMask, "file.mask", { name, received: `${dtype} ${shapeText(shape)}`, expected });
  return nest(values.map(Boolean), [queries, keys]);
}

// The number of valid keys in each row of the batch.
export function lengthsOf({ name, shape, dtype, values }, rows) {
  const received = `${dtype} ${shapeText(shape)}`;
  require(dtype !== "bool" && product(shape) === rows, "file.shape", { name, received, expected: `int (${rows})` });
  return values;
}

// The leading axes that a result has and its slices have not; they have to be as many as those of the page.
export function leadOf({ name, shape }, field, slices) {
  const lead = shape.slice(0, -rankOf(field));
  const expected = slices === 1 ? "()" : `(${slices})`;
  const isFit = shape.length >= rankOf(field) && product(lead) === slices && lead.length <= 2;
  require(isFit, "file.lead", { name, received: shapeText(lead), expected });
  return lead;
}

// What a result without a name can be, by its shape: `sizes` are {queries, keys, valueFeatures}.
export function fieldsOfShape(shape, sizes) {
  const ends = expectedEnds(sizes);
  return ["output", "weights", "scores", "logsumexp"].filter((field) => {
    const wanted = ends[field];
    return wanted && `${shape.slice(-wanted.length)}` === `${wanted}` && shape.length <= wanted.length + 2;
  });
}

export const expectedEnds = ({ queries, keys, valueFeatures }) => ({
  output: valueFeatures ? [queries, valueFeatures] : null,
  weights: [queries, keys],
  scores: [queries, keys],
  logsumexp: [queries],
});
