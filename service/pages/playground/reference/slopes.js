// Slopes, by hand: of weights by their logits, and of one number by q, K and V.  It shares nothing with the service.
import { SCORE_MODELS } from "./attend.js";

const isSeen = (logit) => logit !== -Infinity;

const square = (size, entry) =>
  Array.from({ length: size }, (_, row) => Array.from({ length: size }, (__, column) => entry(row, column)));

const same = (row, column) => (row === column ? 1 : 0);

const diagonal = (slopes) => square(slopes.length, (row, column) => same(row, column) * slopes[row]);

// diag(s) − s sᵀ / Σ s, the slopes of weights that share 1 between them.
function sharing(slopes) {
  const total = slopes.reduce((sum, slope) => sum + slope, 0) || 1;
  return square(slopes.length, (row, column) => slopes[row] * (same(row, column) - slopes[column] / total));
}

function softmax({ temperature }, logits, weights) {
  const rate = 1 / (temperature ?? 1);
  return square(weights.length, (row, column) => rate * weights[row] * (same(row, column) - weights[column]));
}

function proportional(_, logits, weights) {
  const total = logits.filter(isSeen).reduce((sum, logit) => sum + logit, 0);
  const isSlope = (column) => total > 0 && isSeen(logits[column]);
  return square(weights.length, (row, column) =>
    isSlope(row) && isSlope(column) ? (same(row, column) - weights[row]) / total : 0,
  );
}

function entmax({ alpha }, logits, weights) {
  const power = 2 - (alpha ?? 1.5);
  return sharing(weights.map((weight) => (weight > 0 ? weight ** power : 0)));
}

const JACOBIANS = {
  softmax,
  proportional,
  entmax,
  sparsemax: (_, logits, weights) => sharing(weights.map((weight) => Number(weight > 0))),
  sigmoid: (_, logits, weights) => diagonal(weights.map((weight) => weight * (1 - weight))),
  relu: (_, logits) => diagonal(logits.map((logit) => (logit > 0 ? 1 / logits.filter(isSeen).length : 0))),
  none: (_, logits) => diagonal(logits.map((logit) => Number(isSeen(logit)))),
};

// The largest entry that the Jacobian of a row can have, where there is one.
const MOST = {
  softmax: ({ temperature }) => 0.25 / (temperature ?? 1),
  sigmoid: () => 0.25,
  sparsemax: () => 1,
  relu: (_, logits) => 1 / logits.filter(isSeen).length,
  none: () => 1,
};

// Rows are weights and columns the logits that they are derived by; null for a normalizer that has no slope here.
export const jacobianOf = (normalizer, logits, weights) =>
  JACOBIANS[normalizer.name]?.(normalizer, logits, weights) ?? null;

export const mostOf = (normalizer, logits) => MOST[normalizer.name]?.(normalizer, logits) ?? null;

// The cube root of the precision of float64: there the two errors of a central difference balance.
const STEP = 6e-6;

function central(vector, index, evaluate) {
  const step = STEP * Math.max(1, Math.abs(vector[index]));
  const moved = (by) => evaluate(vector.map((number, at) => (at === index ? number + by : number)));
  return (moved(step) - moved(-step)) / (2 * step);
}

// Slopes of Σ upstream_j · w_j by the query and the keys of a row; null for a score model that this page has never
// heard of.
export function slopesOf({ query, key, score_model: model }, jacobian, upstream) {
  const score = SCORE_MODELS[model.name]?.(model);
  if (!score) return null;
  const byLogit = key.map((_, column) => upstream.reduce((sum, slope, row) => sum + slope * jacobian[row][column], 0));
  const slope = (at, vector, index, evaluate) =>
    byLogit[at] === 0 ? 0 : byLogit[at] * central(vector, index, evaluate);
  const byQuery = query.map((_, index) =>
    key.reduce((sum, own, at) => sum + slope(at, query, index, (moved) => score(moved, own)), 0),
  );
  const byKey = key.map((own, at) => own.map((_, index) => slope(at, own, index, (moved) => score(query, moved))));
  return { query: [byQuery], key: byKey };
}
