// How a map fits the width that it has: how many decimals its numbers keep, how large they are written, and where no
// number can be read any more, colours alone.
import { widestOf, widestWordOf } from "../page/measure.js";

const GAP = 2;

const PADDING = 4;

const FONTS = [12, 11, 10];

// The smallest is for fonts with wide letters, in which it is as easy to read as the largest in others.
const HEAD_FONTS = [10.5, 10, 9.5, 9];

const MAX_CELL = 72;

const MAX_COLOUR_CELL = 16;

export const ROOM_FOR_TWO = 500;

export const COLUMN_GAP = 16;

// `map` is {columns, rowNames, columnNames, texts(decimals), maxDecimals, hasNumbers}.
export function fitTo(width, map) {
  const [whole, word] = headWidths(width, map.rowNames, map.hasNumbers);
  const wide = withHeads(fitBeside(whole, width, map), map);
  if (wide.heads === "upright" || word === whole) return wide;
  const narrow = withHeads(fitBeside(word, width, map), map);
  return narrow.heads === "upright" || narrow.decimals > wide.decimals ? narrow : wide;
}

function fitBeside(head, width, map) {
  const room = (width - head - GAP - 1) / map.columns - GAP;
  if (map.hasNumbers) {
    for (let decimals = map.maxDecimals; decimals >= Math.min(1, map.maxDecimals); decimals -= 1) {
      const needed = widestOf(map.texts(decimals), 1);
      const font = FONTS.find((size) => needed * size + PADDING <= room);
      if (font) return { density: "numbers", head, cell: Math.min(MAX_CELL, room), font, decimals };
    }
  }
  const cell = Math.min(MAX_COLOUR_CELL, (width - head) / map.columns);
  return { density: "colours", head, cell, font: FONTS.at(-1), decimals: 0 };
}

// Names of rows stand on one line where that leaves room, else their longest word does.
function headWidths(width, names, hasNumbers) {
  const [whole, word] = [widestOf(names, 11.5) + 10, widestWordOf(names, 11.5) + 10];
  if (!hasNumbers) return [Math.min(whole, 0.2 * width), Math.min(whole, 0.2 * width)];
  const shortest = Math.min(word, 0.34 * width);
  return [Math.max(Math.min(whole, 0.26 * width, 120), shortest), shortest];
}

function withHeads(fit, { columnNames }) {
  const word = widestWordOf(columnNames, 1);
  const headFont = HEAD_FONTS.find((size) => word * size <= fit.cell) ?? HEAD_FONTS[0];
  const heads = word * headFont <= fit.cell ? "upright" : fit.cell >= headFont + 1 ? "vertical" : "none";
  return { ...fit, heads, headFont };
}

export const keepsDetail = (fit, map) =>
  fit.density === "numbers" ? fit.decimals >= map.maxDecimals - 1 && fit.font >= 11 : !map.hasNumbers;

// Returns for each map of `maps`, an object by stage, how it fits `width`.  Two share a line where they keep their
// numbers; the three that have a column for each key share or do not share together.
export function fitMaps(width, maps) {
  const half = (width - COLUMN_GAP) / 2;
  const isPair = (names) =>
    width >= ROOM_FOR_TWO && names.every((name) => !maps[name] || keepsDetail(fitTo(half, maps[name]), maps[name]));
  const shared = { keys: isPair(["scores", "mask", "weights"]), values: isPair(["output"]) };
  return Object.fromEntries(
    Object.entries(maps)
      .filter(([, map]) => map)
      .map(([stage, map]) => {
        const isHalf = stage === "output" ? shared.values : shared.keys;
        return [stage, { ...fitTo(isHalf ? half : width, map), wide: !isHalf }];
      }),
  );
}
