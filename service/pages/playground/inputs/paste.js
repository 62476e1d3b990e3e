// A block of numbers from a spreadsheet or from JSON.
import { parseNumber } from "../words/numbers.js";

// Returns rows of numbers, or null for text that a single field should take as it is.
export function parseBlock(text) {
  const trimmed = text.trim();
  const rows = trimmed.startsWith("[") ? fromJson(trimmed) : fromLines(text);
  const width = rows?.[0]?.length;
  return width && rows.every((row) => row.length === width && row.every((value) => value !== null)) ? rows : null;
}

function fromJson(text) {
  try {
    const parsed = JSON.parse(text);
    const rows = Array.isArray(parsed[0]) ? parsed : [parsed];
    return rows.map((row) => row.map((value) => (Number.isFinite(value) ? value : null)));
  } catch {
    return null;
  }
}

function fromLines(text) {
  const lines = text.replace(/\r\n?/g, "\n").replace(/\n+$/, "").split("\n");
  if (lines.length === 1 && !lines[0].includes("\t")) return null;
  return lines.map((line) => line.split("\t").map(parseNumber));
}
