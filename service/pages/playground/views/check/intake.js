// From the arrays of a file to what the view checks: numbers for the page, a candidate, or a question that is too large
// for the page.
import { wholeRequestOf } from "../../asking/request.js";
import * as kernel from "../../files/kernel.js";
import { FileProblem, require, shapeText } from "../../files/problem.js";
import { headsOf } from "../../state/slices.js";
import { LIMIT, batchesOf, sizesOf } from "../../state/store.js";

export const MAX_SHOWN_SLICES = 16;

const MAX_NUMBERS = 2 ** 21;

const CANDIDATES = kernel.FIELDS;

// What belongs to the numbers of queries, keys, features and heads.
const SIZED = ["bias", "position"];

// What the page computes with, besides its numbers: {settings, dropped}.  Parts that belong to other sizes stay behind;
// `dropped` names those that change every score.
function settingsOf(state, sizes, heads) {
  const whole = wholeRequestOf(state);
  const { score_model: model, normalizer, mask, score_modifier: modifier, positions, softcap, bias, position } = whole;
  const now = { ...sizesOf(state), slices: batchesOf(state) };
  const isSame =
    Object.keys(sizes).every((name) => sizes[name] === now[name]) &&
    ["query", "key"].every((axis) => heads[axis] === headsOf(state, axis));
  const free = { normalizer, score_modifier: modifier, softcap };
  if (isSame)
    return { settings: given({ ...free, score_model: model, mask, positions, bias, position }), dropped: [] };
  const isFree = Object.values(model).every((parameter) => typeof parameter !== "object");
  const { allowed, key_allowed: keys, key_lengths: lengths, prefix_lengths: prefixes, ...kept } = mask ?? {};
  return {
    settings: given({
      ...free,
      score_model: isFree ? model : null,
      mask: Object.keys(kept).length ? kept : null,
    }),
    dropped: SIZED.filter((name) => whole[name]),
  };
}

const given = (members) =>
  Object.fromEntries(Object.entries(members).filter(([, member]) => member !== null && member !== undefined));

// Returns {options, request, question, unused, dropped}: options that the view keeps, a request that the page loads, or
// a question that is asked as it is; names of arrays that are not used, and of settings that do not fit them.
// Throws FileProblem.
export function takeIn({ arrays, request, isLone }, state) {
  require(arrays.length, "file.empty", { name: "" });
  const named = kernel.assign(arrays);
  if (isLone && named.unused.length) return ofThisPage({ [lone(arrays[0], state)]: arrays[0] }, arrays, [], state);
  const { byRole, unused } = named;
  const hasInputs = ["query", "key", "value", "mask", "key_lengths"].some((name) => byRole[name]);
  const fields = CANDIDATES.filter((field) => byRole[field]);
  if (hasInputs) return withInputs(byRole, fields, { request, arrays, unused }, state);
  require(fields.length, "file.nothing", {
    received: arrays.map(({ name }) => name).join(", "),
    expected: kernel.NAMED.join(", "),
  });
  return ofThisPage(Object.fromEntries(fields.map((field) => [field, byRole[field]])), arrays, unused, state);
}

function lone({ name, shape }, state) {
  const sizes = sizesOf(state);
  const [field] = kernel.fieldsOfShape(shape, sizes);
  if (field) return field;
  const ends = Object.values(kernel.expectedEnds(sizes)).filter(Boolean).map(shapeText);
  throw new FileProblem("file.shape", { name, received: shapeText(shape), expected: [...new Set(ends)].join(" / ") });
}

function ofThisPage(results, arrays, unused, state) {
  const slices = batchesOf(state);
  const { candidate, lead } = candidateOf(results, sizesOf(state), slices);
  const used = arrays.filter(({ name }) => !unused.includes(name));
  return { options: { candidate, lead, kv: null, dtype: kernel.dtypeOf(used) }, unused };
}

// Slices of each result, and the leading axes that all have.
function candidateOf(results, sizes, slices) {
  const ends = kernel.expectedEnds(sizes);
  const fields = Object.keys(results);
  for (const field of fields) {
    const { name, shape } = results[field];
    const expected = ends[field];
    const isFit = expected && `${shape.slice(-expected.length)}` === `${expected}` && shape.length >= expected.length;
    require(isFit, "file.shape", {
      name,
      received: shapeText(shape),
      expected: expected ? shapeText(["…", ...expected]) : "V",
    });
  }
  const leads = fields.map((field) => kernel.leadOf(results[field], field, slices));
  const other = leads.findIndex((lead) => `${lead}` !== `${leads[0]}`);
  if (other > 0)
    throw new FileProblem("file.lead", {
      name: results[fields[other]].name,
      received: shapeText(leads[other]),
      expected: shapeText(leads[0]),
    });
  const candidate = Object.fromEntries(
    fields.map((field) => [field, kernel.slicesOf(results[field], kernel.rankOf(field))]),
  );
  return { candidate, lead: leads[0] };
}

function withInputs(byRole, fields, { request, arrays, unused }, state) {
  const { tensors, lead, kv } = kernel.inputsOf(byRole);
  const { query, key, value } = tensors;
  const sizes = {
    queries: query[0].length,
    keys: key[0].length,
    queryFeatures: query[0][0].length,
    keyFeatures: key[0][0].length,
    valueFeatures: value?.[0][0].length ?? 0,
    slices: query.length,
  };
  const results = Object.fromEntries(fields.map((field) => [field, byRole[field]]));
  const found = fields.length ? candidateOf(results, sizes, query.length) : { candidate: null, lead };
  if (`${found.lead}` !== `${lead}`) {
    const { name } = byRole[fields[0]];
    throw new FileProblem("file.lead", { name, received: shapeText(found.lead), expected: shapeText(lead) });
  }
  const heads = { query: lead[1] ?? 1, key: kv ?? lead[1] ?? 1 };
  const isOwn = Object.keys(request).length > 0;
  const { settings, dropped } = isOwn ? { settings: request, dropped: [] } : settingsOf(state, sizes, heads);
  if (byRole.mask) settings.mask = { ...settings.mask, allowed: kernel.maskOf(byRole.mask, sizes.queries, sizes.keys) };
  const lengths = byRole.key_lengths && kernel.lengthsOf(byRole.key_lengths, lead[0] ?? 1);
  if (lengths) settings.mask = { ...settings.mask, key_lengths: lengths };
  const used = arrays.filter(({ name }) => !unused.includes(name));
  const options = { candidate: found.candidate, lead, kv, dtype: request.dtype ?? kernel.dtypeOf(used) };
  const isShown = sizes.slices <= MAX_SHOWN_SLICES && Object.values(sizes).every((size) => size <= LIMIT);
  if (!isShown) return { question: largeQuestion(tensors, options, settings, arrays), unused, dropped };
  return { options, request: pageRequest(tensors, options, settings), unused, dropped };
}

// A batch of one slice has no axis of its own.
function pageRequest({ query, key, value }, { lead, kv }, { dtype, ...settings }) {
  const axes = query.length > 1 ? lead : [];
  const keyAxes = kv === null ? axes : [lead[0], kv];
  return {
    ...settings,
    query: kernel.tensorOf(query, axes),
    key: kernel.tensorOf(key, keyAxes),
    ...(value ? { value: kernel.tensorOf(value, keyAxes) } : {}),
  };
}

function largeQuestion({ query, key, value }, { candidate, lead, kv, dtype }, settings, arrays) {
  const count = arrays.reduce((sum, { values }) => sum + values.length, 0);
  require(count <= MAX_NUMBERS, "file.numbers", { received: count, expected: MAX_NUMBERS });
  require(candidate, "file.unshown", { limit: LIMIT, slices: MAX_SHOWN_SLICES });
  const keyLead = kv === null ? lead : [lead[0], kv];
  return {
    request: {
      ...settings,
      query: kernel.tensorOf(query, lead),
      key: kernel.tensorOf(key, keyLead),
      ...(value ? { value: kernel.tensorOf(value, keyLead) } : {}),
      dtype,
    },
    candidate: Object.fromEntries(
      Object.entries(candidate).map(([field, slices]) => [field, kernel.tensorOf(slices, lead)]),
    ),
  };
}
