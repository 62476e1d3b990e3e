// The numbers that a sweep plots, from the browser's own mathematics.
import { numbersOf } from "../../asking/preview.js";

export const DIAGNOSTICS = ["entropy", "effective_keys", "softmax_sensitivity"];

// Points that a curve has at most; between them it is a straight line.
const MAX_POINTS = 101;

// {weights, entropy, effective_keys, softmax_sensitivity} of one row; null where the service would refuse.
export function pointOf(request) {
  const numbers = numbersOf(request);
  return numbers && rowOf(numbers, 0);
}

export const rowOf = ({ weights, diagnostics }, row) => ({
  weights: weights[row],
  ...Object.fromEntries(DIAGNOSTICS.map((name) => [name, diagnostics[name]?.[row] ?? null])),
});

export function curvesOf({ axis, requestAt }) {
  const stride = Math.ceil((axis.steps + 1) / MAX_POINTS);
  const steps = Array.from({ length: Math.floor(axis.steps / stride) + 1 }, (_, index) => index * stride);
  const points = steps.map((step) => pointOf(requestAt(axis.valueAt(step))));
  return { steps, points };
}

// The keys whose weights become largest, in the order of the keys.
export function strongest(weights, count) {
  const largest = weights[0].map((_, key) => Math.max(...weights.map((row) => Math.abs(row[key]) || 0)));
  const order = largest.map((_, key) => key).sort((one, other) => largest[other] - largest[one] || one - other);
  return order.slice(0, count).sort((one, other) => one - other);
}
