// The lines that compute `visible`, (Lq, Lk), from every mask but a formula.
import { pythonOf } from "./literals.js";

const numbers = (dialect, list) => dialect.array(pythonOf(list), "int64");

const isShifted = (mask, positions) => Boolean(positions?.query) || Boolean(mask.offset);

const usesPositions = ({ causal, window }) => Boolean(causal || window);

// Whether these masks are causal in the plainest sense: query i sees the keys up to i.
export const isPlainlyCausal = (mask, positions) =>
  Boolean(mask?.causal) &&
  !isShifted(mask, positions) &&
  !positions?.key &&
  Object.keys(mask).every((name) => ["causal", "offset"].includes(name));

function positionLines(mask, positions, { dialect, queries, keys }) {
  const { offset } = mask;
  const rows = positions?.query
    ? numbers(dialect, positions.query)
    : `${dialect.arange(0, queries)}${offset ? ` + ${offset}` : ""}`;
  return [
    `position = (${rows})[:, None]`,
    `place = ${positions?.key ? numbers(dialect, positions.key) : dialect.arange(0, keys)}`,
  ];
}

// Returns no line where every key is visible.
export function visibleLines(mask, positions, context) {
  const { dialect, keys } = context;
  const { causal, window, prefix_lengths: prefixes, key_lengths: lengths, key_allowed: ofKeys, allowed } = mask ?? {};
  const near = [
    ...(causal ? ["(place <= position)"] : []),
    ...(typeof window?.left === "number" ? [`(place >= position - ${window.left})`] : []),
    ...(typeof window?.right === "number" ? [`(place <= position + ${window.right})`] : []),
  ];
  const index = dialect.arange(0, keys);
  const prefix = near.length && prefixes ? ` | (${index} < ${prefixes[0]})` : "";
  const others = [
    ...(lengths ? [`(${index} < ${lengths[0]})[None, :]`] : []),
    ...(ofKeys ? [`${dialect.array(pythonOf(ofKeys), "bool")}[None, :]`] : []),
    ...(allowed ? [dialect.array(pythonOf(allowed), "bool")] : []),
  ];
  const whole = `xp.ones((${context.queries}, ${keys}), dtype=xp.BOOL)`;
  const first = near.length ? [`visible = ${near.join(" & ")}${prefix}`] : others.length ? [`visible = ${whole}`] : [];
  return [
    ...(usesPositions(mask ?? {}) && near.length ? positionLines(mask, positions, context) : []),
    ...first,
    ...others.map((other) => `visible = visible & ${other}`),
  ];
}
