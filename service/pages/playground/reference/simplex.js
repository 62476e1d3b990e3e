// Distributions that give far keys a weight of exactly zero.
import { softmax } from "./softmax.js";

const HALVINGS = 200;

// Michelot's algorithm: spread the difference from 1 over the support, drop what falls below, repeat.
export function sparsemax(logits) {
  const largest = Math.max(...logits);
  const shifted = logits.map((logit) => logit - largest);
  let support = shifted.filter((value) => value > -1);
  for (;;) {
    const threshold = (support.reduce((sum, value) => sum + value, 0) - 1) / support.length;
    const left = support.filter((value) => value > threshold);
    if (left.length === support.length) return shifted.map((value) => Math.max(value - threshold, 0));
    support = left;
  }
}

// The keys whose weight is not zero are the best few.  The smallest of their weights decides the others and is found by
// bisection; the threshold itself would not do, because a large alpha hides what matters behind its last bit.
export function entmax(logits, { alpha }) {
  const rate = (alpha ?? 1.5) - 1;
  if (rate === 0) return softmax(logits, {});
  const descending = logits.filter((logit) => logit !== -Infinity).sort((one, other) => other - one);
  const total = (count, smallest) =>
    descending.slice(0, count).reduce((sum, logit) => sum + weightAt(logit - descending[count - 1], smallest, rate), 0);
  const count = descending.filter((_, index) => total(index + 1, 0) < 1).length;
  let [low, high] = [0, 1];
  for (let step = 0; step < HALVINGS; step += 1) {
    const middle = (low + high) / 2;
    if (total(count, middle) > 1) high = middle;
    else low = middle;
  }
  const least = descending[count - 1];
  return logits.map((logit) => (logit < least ? 0 : weightAt(logit - least, low, rate)));
}

// (rate · ahead + smallest^rate)^(1/rate); for a small rate only logarithms keep the digits.
function weightAt(ahead, smallest, rate) {
  if (rate > 1 || smallest === 0) return (rate * ahead + smallest ** rate) ** (1 / rate);
  return Math.exp(Math.log1p(rate * ahead + Math.expm1(rate * Math.log(smallest))) / rate);
}
