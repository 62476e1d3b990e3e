// A block of numbers, as spreadsheets, CSV, JSON, NumPy, PyTorch, Markdown and LaTeX write it, with names or without.
import { parseNumber } from "../words/numbers.js";

// Returns null for text that a single field should take as it is; else {request} for a whole request as JSON, or
// {rows, rowNames, columnNames}, or a mistake: {foreign} for other JSON, {deep} for lists in lists in lists, {wrong} for
// the first piece that is no number, and {ragged} for the first line of another length, by line and column.
export function parseBlock(text) {
  const trimmed = text.trim();
  if (trimmed.startsWith("{")) return fromObject(trimmed);
  const nested = trimmed.includes("[") ? fromBrackets(trimmed) : null;
  if (nested) return nested;
  const lines = linesOf(text);
  return lines && fromCells(lines);
}

function fromObject(text) {
  try {
    const request = JSON.parse(text);
    return "query" in request && "key" in request ? { request } : { foreign: {} };
  } catch {
    return { foreign: {} };
  }
}

const TOKEN = /\[|\]|[^\s,[\]]+/g;

// Lists in lists, with commas or blanks between: what stands around them, as in tensor([[1., 2.]], device="cpu"), goes.
// Returns null for text that only has brackets in it, as headings with units: the numbers stand outside of them.
function fromBrackets(text) {
  const [from, to] = [text.indexOf("["), text.lastIndexOf("]") + 1];
  if (`${text.slice(0, from)} ${text.slice(to)}`.split(/[\s,;|&]+/).some((word) => parseNumber(word) !== null)) return null;
  const inside = text.slice(from, to);
  const root = [];
  const open = [root];
  for (const [token] of inside.matchAll(TOKEN)) {
    if (token === "[") {
      const list = [];
      open.at(-1).push(list);
      open.push(list);
    } else if (token === "]") {
      open.pop();
      if (!open.length) return null;
    } else open.at(-1).push(token);
  }
  if (open.length !== 1 || root.length !== 1) return null;
  let [list] = root;
  while (Array.isArray(list[0]?.[0]) && list.length === 1) [list] = list;
  const rows = Array.isArray(list[0]) ? list : [list];
  const isFlat = rows.every((row) => Array.isArray(row) && row.length > 0 && row.every((cell) => !Array.isArray(cell)));
  return isFlat ? numbersOf(rows, 0, 0) : { deep: {} };
}

const RULE = /^\|?[\s:|-]+\|?$/;

// Lines cut into cells; null for one number or word.
function linesOf(text) {
  const lines = text
    .replace(/\r\n?/g, "\n")
    .replace(/\\\\|\\hline/g, "")
    .split("\n")
    .filter((line) => line.trim() !== "" && !(line.includes("|") && RULE.test(line)));
  const has = (sign) => lines.length > 0 && lines.every((line) => line.includes(sign));
  if (lines.some((line) => line.includes("\t"))) return withPoints(lines.map((line) => line.split("\t").map(cellOf)));
  for (const sign of ["|", "&", ";"]) if (has(sign)) return lines.map((line) => cut(line, sign));
  // One comma in one line may be that of a decimal fraction.
  if (has(",") && (lines.length > 1 || /,.*,|,\s/.test(lines[0]))) return lines.map((line) => cut(line, ","));
  const words = lines.map((line) => line.trim().split(/\s+/));
  const isBlock = (words.length > 1 || text.endsWith("\n") || words[0]?.length > 1) && words[0]?.[0] !== undefined;
  return isBlock && words.some((line) => line.some((word) => parseNumber(word) !== null)) ? words : null;
}

// A sign between quotes does not part; the bars around a line of Markdown stand for nothing.
function cut(line, sign) {
  const text = sign === "|" ? line.trim().replace(/^\||\|$/g, "") : line;
  const cells = [""];
  let isQuoted = false;
  for (const letter of text) {
    if (letter === '"') isQuoted = !isQuoted;
    else if (letter === sign && !isQuoted) cells.push("");
    else cells[cells.length - 1] += letter;
  }
  return cells.map((cell) => cellOf(sign === ";" ? cell.replace(/^(\s*[-−]?\d+),(\d+\s*)$/, "$1.$2") : cell));
}

// Decimal commas become points where a comma can be nothing else: no cell has a point, and one is no comma of thousands.
function withPoints(lines) {
  const cells = lines.flat();
  const isFraction = (cell) => /^[-−]?\d+,\d+(e[-−+]?\d+)?$/i.test(cell);
  const hasPoints = cells.some((cell) => cell.includes(".") && parseNumber(cell) !== null);
  const isSure = cells.some((cell) => isFraction(cell) && !/^[-−]?[1-9]\d{0,2},\d{3}$/.test(cell));
  if (hasPoints || !isSure) return lines;
  return lines.map((line) => line.map((cell) => (isFraction(cell) ? cell.replace(",", ".") : cell)));
}

const cellOf = (text) => text.trim().replace(/^"(.*)"$/, "$1");

// Digits with a comma are a number that cannot be read, and no name.
const isName = (cell) => parseNumber(cell) === null && !/^[-−+]?\d[\d.,]*$/.test(cell);

// The first line and the first column may be names; a corner may stand where they meet.
function fromCells(lines) {
  const body = lines.length > 1 ? lines.slice(1) : lines;
  const hasRowNames = body.every((line) => line.length > 1 && isName(line[0]) && !isName(line[1]));
  const [first] = lines;
  const width = body[0].length;
  const cells = first.length === width && hasRowNames ? first.slice(1) : first;
  const hasColumnNames = lines.length > 1 && cells.every(isName) && cells.some((cell) => cell !== "");
  const from = hasRowNames ? 1 : 0;
  const rows = (hasColumnNames ? body : lines).map((line) => line.slice(from));
  const names = {
    rowNames: hasRowNames ? (hasColumnNames ? body : lines).map((line) => line[0]) : null,
    columnNames: hasColumnNames && cells.length === rows[0].length ? cells : null,
  };
  return { ...numbersOf(rows, hasColumnNames ? 1 : 0, from), ...names };
}

function numbersOf(rows, line, column) {
  const numbers = rows.map((row) => row.map(parseNumber));
  for (const [row, cells] of numbers.entries()) {
    const at = cells.indexOf(null);
    if (at >= 0) return { wrong: { text: rows[row][at], line: row + line + 1, column: at + column + 1 } };
    if (cells.length !== numbers[0].length) return { ragged: { line: row + line + 1, expected: numbers[0].length, received: cells.length } };
  }
  return { rows: numbers, rowNames: null, columnNames: null };
}

// The mistake in a block, as a report has it; null for one that can be used.
export function problemOf(block) {
  if (block.foreign) return { key: "problem.paste_foreign", values: block.foreign };
  if (block.deep) return { key: "problem.paste_deep", values: block.deep };
  if (block.wrong) return { key: "problem.paste_cell", values: block.wrong };
  if (block.ragged) return { key: "problem.paste_ragged", values: block.ragged };
  return null;
}
