// Where queries, keys, values and the ribbons between them lie.  A ribbon is as thick as its weight, from end to end.
import { weightBetween } from "./groups.js";

// The pixels that a weight of 1 takes at most, and all weights of the rows together.
const MAX_UNIT = 200;

const MAX_TOTAL = 300;

const BAR = 8;

const GAP = 6;

const TOP = 26;

const HIDDEN_HEIGHT = 16;

export const LINE_HEIGHT = 14.5;

// What a finger can hit.
const MIN_ROOM = 24;

// The share of the way from queries to values at which keys stand.
const MIDDLE = 0.45;

// Of the width, on either side.
const MAX_LABEL_SHARE = 0.26;

const LABEL_GAP = 6;

export const labelRoom = (width) => MAX_LABEL_SHARE * width;

const digits = (pixels) => Number(pixels.toFixed(3));

// `rows` and `keys` are groups, `hidden(key)` says whether a group of keys is masked for all that is shown, `labels`
// holds the widths of the names of queries and values, and `lines` how many lines a name takes.
export function geometryOf({ width, weights, rows, keys, hidden, hasValues, labels, lines }) {
  const cells = rows.map((row) => keys.map((key) => weightBetween(weights, row, key)));
  const sizes = cells.map((row) => row.map((weight) => (Number.isFinite(weight) ? Math.abs(weight) : 0)));
  const total = sumOf(sizes.map(sumOf));
  const unit = Math.min(MAX_UNIT, total > 0 ? MAX_TOTAL / total : MAX_UNIT);
  const heights = {
    rows: sizes.map((row) => unit * sumOf(row)),
    keys: keys.map((key, index) => (hidden(key) ? HIDDEN_HEIGHT : unit * sumOf(sizes.map((row) => row[index])))),
  };
  const slots = {
    rows: heights.rows.map((height) => ({ height, room: Math.max(height, lines * LINE_HEIGHT) })),
    keys: heights.keys.map((height, index) => keySlot(height, hidden(keys[index]) ? 0 : lines * LINE_HEIGHT)),
  };
  const full = Math.max(stackHeight(slots.rows), stackHeight(slots.keys));
  const nodes = { rows: stacked(slots.rows, full), keys: stacked(slots.keys, full) };
  return {
    unit,
    height: Math.ceil(TOP + full + GAP),
    columns: columnsOf(width, labels, hasValues),
    nodes,
    ribbons: ribbonsOf(sizes, cells, unit, nodes),
  };
}

const sumOf = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

const stackHeight = (slots) => sumOf(slots.map(({ room }) => room + GAP)) - GAP;

// The name of a key stands on its ribbon, or above one that is too thin for it.
function keySlot(height, name) {
  return height >= name ? { height, room: Math.max(height, MIN_ROOM) } : { height, room: height + name, above: name };
}

// Each node at the lower end of its slot, or in the middle where its name stands on it.
function stacked(slots, full) {
  let at = TOP + (full - stackHeight(slots)) / 2;
  return slots.map(({ height, room, above = 0 }) => {
    const y = above ? at + above : at + (room - height) / 2;
    const node = {
      ...{ y: digits(y), height: digits(height), middle: digits(y + height / 2) },
      // The middle of its name, and of what a finger hits.
      name: digits(above ? at + above / 2 : at + room / 2),
      slot: { y: digits(at), height: digits(room) },
    };
    at += room + GAP;
    return node;
  });
}

// The left edges of the bars; without values the names of keys take the room of theirs.
function columnsOf(width, { query, value }, hasValues) {
  const most = labelRoom(width);
  const left = Math.min(query, most) + LABEL_GAP;
  const right = width - (hasValues ? Math.min(value, most) + LABEL_GAP : 0) - BAR;
  return {
    bar: BAR,
    query: digits(left),
    key: digits(left + (right - left) * (hasValues ? MIDDLE : 0.65)),
    value: hasValues ? digits(right) : null,
  };
}

// Stacked at a query in the order of the keys, at a key in the order of the queries.
function ribbonsOf(sizes, cells, unit, nodes) {
  const used = { rows: nodes.rows.map(({ y }) => y), keys: nodes.keys.map(({ y }) => y) };
  return sizes.flatMap((line, row) =>
    line.map((size, key) => {
      const thickness = digits(unit * size);
      const ribbon = { row, key, weight: cells[row][key], thickness, from: digits(used.rows[row]), to: digits(used.keys[key]) };
      used.rows[row] += thickness;
      used.keys[key] += thickness;
      return ribbon;
    }),
  );
}

// A band of the same thickness everywhere, measured upright.
export function bandPath(fromX, fromY, toX, toY, thickness) {
  const middle = digits((fromX + toX) / 2);
  const [low, high] = [digits(fromY + thickness), digits(toY + thickness)];
  return `M${fromX} ${fromY}C${middle} ${fromY} ${middle} ${toY} ${toX} ${toY}L${toX} ${high}C${middle} ${high} ${middle} ${low} ${fromX} ${low}Z`;
}
