// Fields that are written as text: formulas, their parameters as JSON, and lists of whole numbers or of yes and no.
import { element, setAttributes, setText } from "../page/dom.js";
import { formatFull, parseNumber } from "../words/numbers.js";

const WHOLE = /^[+\-−]?\d+$/;

const FLAGS = new Map([
  ["1", true],
  ["true", true],
  ["0", false],
  ["false", false],
]);

// How each kind is read, which gives undefined for what it does not understand, and how it is written.
const KINDS = {
  text: { read: (text) => text, write: (value) => value, problem: "problem.formula" },
  object: { read: parseObject, write: (value) => JSON.stringify(value), problem: "problem.object" },
  integers: { read: parseIntegers, write: (value) => value.map(formatFull).join(", "), problem: "problem.integers" },
  positive: { read: parsePositive, write: formatFull, problem: "problem.positive" },
  count: { read: parseCount, write: formatFull, problem: "problem.count" },
  reals: { read: parseReals, write: (value) => [value].flat().map(formatFull).join(", "), problem: "problem.reals" },
  tensor: { read: parseTensor, write: (value) => JSON.stringify(value), problem: "problem.tensor" },
  counts: { read: parseCounts, write: (value) => value.join(", "), problem: "problem.counts" },
  flags: { read: parseFlags, write: (value) => value.map(Number).join(", "), problem: "problem.flags" },
};

// `labelOf` and `helpOf` say what it is called, `get` finds the value in the state, `set` changes it; null is blank.
export function createWritten({ place, kind, required, attributes, labelOf, helpOf, get, set, report }) {
  const { read, write, problem } = KINDS[kind];
  const input = element("input", { type: "text", autocomplete: "off", spellcheck: "false", ...attributes });
  const label = element("span");
  const error = element("p", { class: "field-error", "data-place": place, hidden: true });
  let loaded = null;
  input.addEventListener("input", () => {
    const blank = input.value.trim() === "";
    const value = blank ? null : read(input.value);
    const right = blank ? !required : value !== undefined;
    setAttributes(input, { "aria-invalid": right ? null : "true" });
    report(place, right ? null : { key: problem, values: { text: input.value } });
    if (right) set(value);
  });
  // What cannot be read gives way: to other numbers, or because the field is there no more.
  function forget() {
    if (!input.hasAttribute("aria-invalid")) return;
    setAttributes(input, { "aria-invalid": null });
    report(place, null);
  }

  return {
    forget,
    root: element("div", { class: "parameter written" }, element("label", {}, label, input), error),
    update(state) {
      setText(label, labelOf());
      label.parentElement.title = helpOf();
      if (loaded !== state.loaded) forget();
      loaded = state.loaded;
      if (input.hasAttribute("aria-invalid")) return;
      const value = get(state);
      const shown = input.value.trim() === "" ? null : read(input.value);
      const same = shown !== undefined && JSON.stringify(shown) === JSON.stringify(value);
      if (!same) input.value = value === null ? "" : write(value);
    },
  };
}

// An object that JSON spells.
function parseObject(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

// Entries between commas or blanks, with brackets around them or without.
function parseList(text, parseEntry) {
  const inside = /^\s*\[(.*)\]\s*$/s.exec(text)?.[1] ?? text;
  const entries = inside
    .split(/[\s,，、]+/)
    .filter((entry) => entry !== "")
    .map(parseEntry);
  return entries.length && !entries.includes(undefined) ? entries : undefined;
}

function parseIntegers(text) {
  return parseList(text, (entry) => {
    const number = WHOLE.test(entry) ? Number(entry.replace("−", "-")) : NaN;
    return Number.isSafeInteger(number) ? number : undefined;
  });
}

function parseCounts(text) {
  const numbers = parseIntegers(text);
  return numbers?.every((number) => number >= 0) ? numbers : undefined;
}

function parsePositive(text) {
  const number = parseNumber(text);
  return number > 0 ? number : undefined;
}

function parseCount(text) {
  const number = parseNumber(text);
  return Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

// One number, or one for each head.
function parseReals(text) {
  const numbers = parseList(text, (entry) => parseNumber(entry) ?? undefined);
  return numbers?.length === 1 && !text.includes("[") ? numbers[0] : numbers;
}

const ROW_END = /[;\n]/;

// A number, nested lists as JSON with null for minus infinity, or rows between semicolons.
function parseTensor(text) {
  if (ROW_END.test(text) && !text.includes("[")) {
    const rows = text.split(ROW_END).filter((row) => row.trim() !== "");
    const numbers = rows.map((row) => parseList(row, entryOf));
    return numbers.some((row) => row?.length !== numbers[0]?.length) ? undefined : numbers;
  }
  try {
    const value = JSON.parse(text.replaceAll("−", "-"));
    return isTensor(value) && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

const entryOf = (entry) => (/^(null|[-−](inf|∞))$/.test(entry) ? null : (parseNumber(entry) ?? undefined));

const isTensor = (value) =>
  value === null ||
  Number.isFinite(value) ||
  (Array.isArray(value) &&
    value.length > 0 &&
    value.every((part) => isTensor(part) && Array.isArray(part) === Array.isArray(value[0]) && part?.length === value[0]?.length));

function parseFlags(text) {
  return parseList(text, (entry) => FLAGS.get(entry.toLowerCase()));
}
