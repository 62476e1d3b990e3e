// From the state to what the service is asked, and from its answer to numbers.
import { hasFormulas, membersOf } from "../state/further.js";
import { batchesOf, sizesOf, sliceOf } from "../state/store.js";

const INCLUDE = ["scores", "logits", "weights", "output", "diagnostics"];

export function requestOf(state) {
  const value = sliceOf(state, "value");
  const further = {
    mask: maskOf(state),
    score_modifier: membersOf(state, "score_modifier"),
    positions: positionsOf(state),
  };
  return {
    query: sliceOf(state, "query"),
    key: sliceOf(state, "key"),
    ...(value ? { value } : {}),
    score_model: { name: state.scoreModel.name, ...given(state.scoreModel.parameters) },
    normalizer: { name: state.normalizer.name, ...given(state.normalizer.parameters) },
    ...given(further),
    include: INCLUDE.filter((name) => name !== "output" || value),
  };
}

export const positionsOf = (state) => membersOf(state, "positions");

export function maskOf(state) {
  const { formula, parameters } = membersOf(state, "mask") ?? {};
  const mask = { ...cellMaskOf(state), ...given({ formula: formula ?? null, parameters: parameters ?? null }) };
  return Object.keys(mask).length ? mask : null;
}

// The masks that the page knows by itself: all but the formula.
export function cellMaskOf(state) {
  const { prefix_lengths: prefixes, key_allowed: keys } = membersOf(state, "mask") ?? {};
  const prefix = prefixes && [prefixes[batchesOf(state) > 1 ? state.batch : 0] ?? prefixes.at(-1)];
  const mask = { ...namedMaskOf(state), ...given({ prefix_lengths: prefix ?? null, key_allowed: keys ?? null }) };
  return Object.keys(mask).length ? mask : null;
}

export const usesOffset = (state) => ["causal", "window"].includes(state.mask.kind) || hasFormulas(state);

function namedMaskOf(state) {
  const { kind, offset, left, right, lengths, allowed } = state.mask;
  const positions = offset && usesOffset(state) ? { offset } : {};
  if (kind === "causal") return { causal: true, ...positions };
  if (kind === "window") return { window: { left, right }, ...positions };
  if (kind === "lengths") return { key_lengths: [lengthOf(lengths, state)], ...positions };
  return { ...(kind === "custom" && allowed ? { allowed } : {}), ...positions };
}

export function lengthOf(lengths, state) {
  const { keys } = sizesOf(state);
  return Math.min(keys, lengths[batchesOf(state) > 1 ? state.batch : 0] ?? keys);
}

const given = (parameters) => Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== null));

const SPECIAL = new Map([
  [null, -Infinity],
  ["NaN", NaN],
  ["Infinity", Infinity],
]);

const numberOf = (leaf) => (typeof leaf === "number" ? leaf : SPECIAL.has(leaf) ? SPECIAL.get(leaf) : undefined);

const readMatrix = (rows) =>
  Array.isArray(rows) ? rows.map((row) => (Array.isArray(row) ? row.map(numberOf) : [])) : null;

// Whether there is something to show; whether it is right is for the check to say.
export const isComplete = (numbers, request) =>
  ["scores", "logits", "weights", ...(request.value ? ["output"] : [])].every((name) => numbers[name]?.[0]?.length > 0);

// The diagnostics may be null as a whole, for weights that are no distribution.
export function readAnswer(body) {
  const { scores, logits, weights, output, diagnostics, score_model: scoreModel, normalizer } = body;
  const rows = (name) => (Array.isArray(diagnostics?.[name]) ? diagnostics[name].map(numberOf) : null);
  return {
    scores: readMatrix(scores),
    logits: readMatrix(logits),
    weights: readMatrix(weights),
    output: readMatrix(output),
    diagnostics: Object.fromEntries(
      ["entropy", "effective_keys", "softmax_sensitivity"].map((name) => [name, rows(name)]),
    ),
    used: { ...scoreModel, ...normalizer },
  };
}
