// Arrays that stand in text: CSV of one matrix, and JSON.
import { parseBlock } from "../inputs/paste.js";
import { parseNumber } from "../words/numbers.js";
import { FileProblem, require } from "./problem.js";

const SPECIAL = { nan: NaN, inf: Infinity, infinity: Infinity, "-inf": -Infinity, "-infinity": -Infinity };

// Null for text that is no number.
const numberOf = (text) => SPECIAL[text.trim().toLowerCase()] ?? parseNumber(text);

// Lines of numbers with commas, semicolons, tabs or blanks between; a first line and a first column of names are
// skipped.
export function readCsv(name, text) {
  const lines = text.split(/\r\n?|\n/).map((line, index) => ({ line: index + 1, text: line.trim() }));
  const cells = lines
    .filter((line) => line.text && !line.text.startsWith("#"))
    .map(({ line, text: written }) => ({
      line,
      cells: (/[,;\t]/.test(written) ? written.split(/[,;\t]/) : written.split(/\s+/)).map((cell) =>
        cell.replace(/^\s*"(.*)"\s*$/, "$1"),
      ),
    }));
  const isNamed = cells.length > 1 && cells[0].cells.every((cell) => numberOf(cell) === null);
  const body = isNamed ? cells.slice(1) : cells;
  require(body.length, "file.empty", { name });
  const from = body.every((row) => row.cells.length > 1 && numberOf(row.cells[0]) === null) ? 1 : 0;
  const width = body[0].cells.length;
  for (const { line, cells: row } of body) {
    const wrong = row.findIndex((cell, column) => column >= from && numberOf(cell) === null);
    require(wrong < 0, "file.number", { name, at: `${line}:${wrong + 1}`, received: row[wrong] });
    require(row.length === width, "file.ragged", { name, at: line, expected: width, received: row.length });
  }
  const values = body.flatMap((row) => row.cells.slice(from).map(numberOf));
  return { name, shape: [body.length, width - from], dtype: "float64", values };
}

// What Python's json module writes for numbers that are not finite is no JSON.
const BARE = /(?<=[[,:\s])(NaN|-?Infinity)(?=[\s,\]}])/g;

function parse(name, text) {
  try {
    return JSON.parse(text);
  } catch {
    try {
      return JSON.parse(text.replace(BARE, '"$1"'));
    } catch (error) {
      throw new FileProblem("file.json", { name, received: error.message });
    }
  }
}

// Returns {arrays, request}: every member that is an array, and the other members of the request; one array alone has
// the name of the file.
export function readJson(name, text) {
  const document = parse(name, text);
  if (Array.isArray(document)) return { arrays: [arrayOf(name, document)], request: {}, isLone: true };
  require(typeof document === "object" && document !== null, "file.json", { name, received: text.slice(0, 20) });
  const { request, candidate, ...rest } = document;
  const { include, ...all } = { ...rest, ...request, ...candidate };
  return {
    arrays: Object.entries(all)
      .filter(([, member]) => Array.isArray(member))
      .map(([member, nested]) => arrayOf(member, nested)),
    request: Object.fromEntries(Object.entries(all).filter(([, member]) => !Array.isArray(member) && member !== null)),
  };
}

const LEAVES = { NaN, Infinity, "-Infinity": -Infinity };

export function arrayOf(name, nested) {
  const shape = [];
  for (let part = nested; Array.isArray(part); [part] = part) shape.push(part.length);
  const values = [];
  let booleans = 0;
  const visit = (part, depth, at) => {
    if (depth < shape.length) {
      const received = Array.isArray(part) ? part.length : JSON.stringify(part);
      require(received === shape[depth], "file.ragged", { name, at: at || "/", expected: shape[depth], received });
      part.forEach((one, index) => visit(one, depth + 1, `${at}/${index}`));
      return;
    }
    const number = part === null ? -Infinity : typeof part === "string" ? LEAVES[part] : Number(part);
    const isLeaf = number !== undefined && typeof part !== "object";
    require(isLeaf || part === null, "file.number", { name, at, received: JSON.stringify(part) });
    booleans += typeof part === "boolean" ? 1 : 0;
    values.push(number);
  };
  visit(nested, 0, "");
  return { name, shape, dtype: values.length && booleans === values.length ? "bool" : "float64", values };
}

// Text that was pasted: JSON, what NumPy and PyTorch print, or lines of numbers.
export function readPasted(name, text) {
  const trimmed = text.trim();
  require(trimmed, "file.empty", { name });
  if (/^[[{]/.test(trimmed) && !/\d\s+-?\d|\.[\s\]]/.test(trimmed)) return readJson(name, trimmed);
  if (!trimmed.includes("[")) return { arrays: [readCsv(name, trimmed)], request: {}, isLone: true };
  const { rows } = parseBlock(trimmed) ?? {};
  require(rows, "file.brackets", { name });
  return { arrays: [arrayOf(name, rows)], request: {}, isLone: true };
}
