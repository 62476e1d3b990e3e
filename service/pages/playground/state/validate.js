// A link may come from anywhere: nothing of it is used before all of it is what this page would have written.
import { STEPS } from "../lesson/steps.js";
import { viewOf } from "../views/loading.js";
import { LANGUAGES, language } from "../words/i18n.js";
import { NAME_LIMIT } from "../words/names.js";
import { parametersOf } from "../inputs/parameters.js";
import { FURTHER } from "./further.js";
import { BrokenLink } from "./share.js";
import { MAX_NUMBERS, MAX_SLICES, areSlices, leadingOf } from "./slices.js";
import { LIMIT } from "./store.js";
import { MEMORY_NAME, waitFor } from "./used_memory.js";

const KINDS = ["none", "causal", "lengths", "window", "custom"];

const STAGES = ["scores", "mask", "weights", "output"];

const LARGEST_SLICE = 1 << 16;

const MAX_FORMULA = 1000;

const MAX_RANK = 4;

const MAX_NAMES = 16;

const LARGEST_POSITION = 2 ** 31;

function expect(condition, what) {
  if (!condition) throw new BrokenLink(what);
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

const isCount = (value, most) => Number.isInteger(value) && value >= 0 && value <= most;

const isName = (value) => typeof value === "string" && value.length <= NAME_LIMIT;

const ENTRIES = {
  flags: (entry) => typeof entry === "boolean",
  integers: (entry) => Number.isInteger(entry) && Math.abs(entry) <= LARGEST_POSITION,
  counts: (entry) => isCount(entry, LIMIT),
};

// `catalogue` says which score models and normalizers there are, and `examples` which examples.
export function readShared(document, catalogue, examples) {
  expect(isObject(document), "no object");
  const { e, b, h, q, k, v, n, m, f, s, w, x, y, t, l } = document;
  expect(e === null || examples.includes(e), "example");
  const query = readSlices(q);
  const key = readSlices(k);
  const value = v === null ? null : readSlices(v);
  const heads = readHeads(h);
  const tensors = { query, key, value, heads };
  expect(areSlices(tensors), "slices");
  const { rows, heads: perRow } = leadingOf(tensors);
  const batches = rows * perRow;
  expect(y === null || (typeof y === "string" && MEMORY_NAME.test(y)), "memory");
  // What the memory holds is not known yet: its slices and keys may be more.
  expect(isCount(b, y === null ? batches - 1 : LARGEST_SLICE), "slice");
  const names = readNames(n);
  return {
    example: e,
    // The reader's, not the language of the page that wrote the link.
    language: language(),
    batch: Math.min(b, batches - 1),
    heads,
    query,
    key,
    value,
    names,
    scoreModel: readChoice(s, catalogue.scoreModels),
    normalizer: readChoice(w, catalogue.normalizers),
    mask: readMask(m, query[0].length, y === null ? key[0].length : null),
    further: readFurther(x),
    focus: readFocus(f),
    memory: y === null ? null : waitFor(y, { query: null, key, value, names: names.key, heads }, b),
    panel: t === null ? null : readPanel(t, catalogue),
    lesson: l === null ? null : readLesson(l),
  };
}

function readSlices(slices) {
  expect(Array.isArray(slices) && slices.length >= 1 && slices.length <= MAX_SLICES, "slices");
  const matrices = slices.map((matrix) => readTensor(matrix, 2));
  const [{ length: rows }] = matrices;
  expect(
    matrices.every((matrix) => matrix.length === rows && matrix[0].length === matrices[0][0].length),
    "sizes",
  );
  return matrices;
}

function readHeads(heads) {
  if (heads === null) return null;
  expect(Array.isArray(heads) && heads.length === 2 && heads.every((count) => isCount(count, MAX_SLICES) && count > 0), "heads");
  return { query: heads[0], key: heads[1] };
}

function readTensor(tensor, rank, most = LIMIT) {
  if (rank === 0) {
    expect(Number.isFinite(tensor), "number");
    return tensor;
  }
  expect(Array.isArray(tensor) && tensor.length >= 1 && tensor.length <= most, "size");
  const parts = tensor.map((part) => readTensor(part, rank - 1, most));
  expect(rank === 1 || parts.every((part) => part.length === parts[0].length), "ragged");
  return parts;
}

function readNames(names) {
  expect(isObject(names), "names");
  return Object.fromEntries(
    ["query", "key", "feature", "value"].map((axis) => {
      expect(Array.isArray(names[axis]) && names[axis].length <= LIMIT, "names");
      return [axis, names[axis].map(readName)];
    }),
  );
}

function readName(name) {
  if (name === null || isName(name)) return name;
  expect(isObject(name) && LANGUAGES.every((language) => isName(name[language])), "name");
  return Object.fromEntries(LANGUAGES.map((language) => [language, name[language]]));
}

function readChoice(choice, entries) {
  expect(Array.isArray(choice) && isObject(choice[1]), "choice");
  const [name, given] = choice;
  const entry = entries.find((each) => each.name === name);
  expect(entry, "unknown name");
  const parameters = {};
  for (const { name: parameter, kind, rank, required } of parametersOf(entry)) {
    const value = Object.hasOwn(given, parameter) ? given[parameter] : null;
    expect(value !== null || !required, "parameter");
    parameters[parameter] = value === null ? null : readParameter(value, kind, rank);
  }
  return { name, parameters };
}

function readFurther(given) {
  expect(isObject(given) && Object.keys(given).every((name) => FURTHER.some(({ place }) => place === name)), "further");
  return Object.fromEntries(
    FURTHER.map((field) => {
      const { place } = field;
      return [place, Object.hasOwn(given, place) && given[place] !== null ? readWritten(given[place], field) : null];
    }),
  );
}

// Kinds that are one value, and what each of them may be.
const VALUES = {
  positive: (value) => Number.isFinite(value) && value > 0,
  count: (value) => isCount(value, Number.MAX_SAFE_INTEGER),
  choice: (value, { choices }) => choices.includes(value),
  reals: (value) => [value].flat().length <= MAX_SLICES && [value].flat().every(Number.isFinite),
  tensor: (value) => countNumbers(value, MAX_RANK) <= MAX_NUMBERS,
};

// Infinity for anything but a tensor.
function countNumbers(value, rank) {
  if (!Array.isArray(value)) return value === null || Number.isFinite(value) ? 1 : Infinity;
  if (!value.length || !rank || new Set(value.map((part) => part?.length)).size > 1) return Infinity;
  return value.reduce((sum, part) => sum + countNumbers(part, rank - 1), 0);
}

// Of rotary angles: names, numbers, truth values, and lists of numbers.
function readScaling(value) {
  const isPlain = (one) =>
    ["string", "boolean"].includes(typeof one) ||
    one === null ||
    [one].flat().every((number, index) => Number.isFinite(number) && index < 4 * LIMIT);
  expect(isObject(value) && Object.keys(value).length <= MAX_NAMES && Object.values(value).every(isPlain), "scaling");
  return structuredClone(value);
}

function readWritten(value, field) {
  const { kind, place } = field;
  if (place === "position/scaling") return readScaling(value);
  if (kind in VALUES) {
    expect(VALUES[kind](value, field), "value");
    return structuredClone(value);
  }
  if (!(kind in ENTRIES)) return readParameter(value, kind, 0);
  expect(Array.isArray(value) && value.length >= 1 && value.length <= LIMIT && value.every(ENTRIES[kind]), "list");
  return [...value];
}

function readParameter(value, kind, rank) {
  if (kind === "text") {
    expect(typeof value === "string" && value.length <= MAX_FORMULA, "formula");
    return value;
  }
  if (kind === "numbers") return readTensor(value, rank, 3 * LIMIT);
  expect(isObject(value) && Object.keys(value).length <= MAX_NAMES && Object.keys(value).every(isName), "names");
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, readNamed(one)]));
}

// A number, a vector, a matrix, or one of these for each head.
function readNamed(value) {
  if (!isObject(value)) return readTensor(value, depthOf(value, 2), 3 * LIMIT);
  expect(Object.keys(value).join() === "per_head", "per_head");
  return { per_head: readTensor(value.per_head, depthOf(value.per_head, 3), 3 * LIMIT) };
}

const depthOf = (value, most) => (Array.isArray(value) && most > 0 ? 1 + depthOf(value[0], most - 1) : 0);

function readMask(mask, queries, keys) {
  expect(isObject(mask) && KINDS.includes(mask.kind), "mask");
  const { kind, offset, left, right, lengths, allowed } = mask;
  expect(offset === null || (Number.isInteger(offset) && Math.abs(offset) <= LARGEST_POSITION), "offset");
  expect(
    [left, right].every((side) => side === null || isCount(side, LARGEST_POSITION)),
    "window",
  );
  expect(
    Array.isArray(lengths) && lengths.length <= MAX_SLICES && lengths.every((length) => isCount(length, LIMIT)),
    "lengths",
  );
  expect(allowed === null ? kind !== "custom" : isMaskOf(allowed, queries, keys), "allowed");
  return { kind, offset, left, right, lengths: [...lengths], allowed: allowed && allowed.map((row) => [...row]) };
}

// `queries` and `keys` are null if their number is not known.
function isMaskOf(allowed, queries, keys) {
  return (
    Array.isArray(allowed) &&
    (queries === null ? allowed.length >= 1 && allowed.length <= LIMIT : allowed.length === queries) &&
    allowed.every(
      (row) =>
        Array.isArray(row) &&
        (keys === null ? row.length <= LIMIT : row.length === keys) &&
        row.every((cell) => typeof cell === "boolean"),
    )
  );
}

function readFocus(focus) {
  expect(isObject(focus) && STAGES.includes(focus.stage), "focus");
  const { stage, row, key, column } = focus;
  expect(
    [row, key, column].every((index) => isCount(index, LIMIT)),
    "focus",
  );
  return { stage, row, key, column };
}

function readPanel(panel, catalogue) {
  expect(Array.isArray(panel) && isObject(panel[1]), "panel");
  const [name, options] = panel;
  const view = viewOf(name);
  expect(view, "unknown panel");
  return { name, options: view.readOptions(options, expect, partsIn(catalogue)) };
}

// What a view reads the parts of another state with, which may have other sizes than the state of the link.
const partsIn = ({ scoreModels, normalizers }) => ({
  scoreModel: (given) => readChoice([given?.name, given?.parameters], scoreModels),
  normalizer: (given) => readChoice([given?.name, given?.parameters], normalizers),
  mask: (given) => readMask(given, null, null),
  further: readSomeFurther,
});

// Fields that are given as null are left out on purpose, and stay so.
function readSomeFurther(given) {
  expect(isObject(given), "further");
  const read = readFurther(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)));
  expect(Object.keys(given).every((place) => Object.hasOwn(read, place)), "further");
  return Object.fromEntries(Object.keys(given).map((place) => [place, read[place]]));
}

function readLesson(lesson) {
  expect(Array.isArray(lesson) && isCount(lesson[0], STEPS.length - 1), "lesson");
  const [step, answer, before] = lesson;
  const { choices } = STEPS[step];
  const isAnswer = choices === null ? Number.isFinite(answer) : isCount(answer, LIMIT);
  expect(answer === null || answer === "shown" || isAnswer, "answer");
  expect(answer === null ? before === null : Array.isArray(before), "weights");
  return { step, answer, before: before && readTensor(before, 1) };
}
