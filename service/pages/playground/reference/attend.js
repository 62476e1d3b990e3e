// The browser's own attention, in float64 and for one matrix of queries; it shares nothing with the service.
import { additive } from "./additive.js";
import { gaussian, laplacian } from "./distances.js";
import { none, proportional, relu, sigmoid } from "./elementwise.js";
import { bilinear, cosine, dotProduct, scaledDotProduct, trilinear } from "./products.js";
import { entmax, sparsemax } from "./simplex.js";
import { hardmax, softmax } from "./softmax.js";
import { isVisible } from "./visibility.js";

export const SCORE_MODELS = {
  scaled_dot_product: scaledDotProduct,
  dot_product: dotProduct,
  additive,
  bilinear,
  cosine,
  gaussian,
  laplacian,
  trilinear,
};

export const NORMALIZERS = { softmax, proportional, sparsemax, entmax, sigmoid, relu, hardmax, none };

// Returns null for a score model or a normalizer that this page has never heard of, and for formulas, which it cannot
// read.
export function attend({ query, key, value, score_model, normalizer, mask, positions, score_modifier }) {
  const scoreModel = SCORE_MODELS[score_model.name];
  const normalize = NORMALIZERS[normalizer.name];
  if (!scoreModel || !normalize || score_modifier || mask?.formula) return null;
  const score = scoreModel(score_model);
  const scores = query.map((row) => key.map((column) => score(row, column)));
  const logits = scores.map((row, i) => row.map((entry, j) => (isVisible(mask, i, j, positions) ? entry : -Infinity)));
  const weights = logits.map((row) => weigh(row, normalize, normalizer));
  const output = value ? weights.map((row) => mixed(row, value)) : null;
  return { scores, logits, weights, output, diagnostics: weights.map(diagnose) };
}

function weigh(logits, normalize, parameters) {
  const seen = logits.some((logit) => logit !== -Infinity);
  if (!seen) return logits.map(() => 0);
  const broken = logits.some((logit) => Number.isNaN(logit) || logit === Infinity);
  if (broken && normalize !== none) return logits.map(() => NaN);
  return normalize(logits, parameters);
}

const mixed = (weights, value) =>
  value[0].map((_, column) => weights.reduce((sum, weight, key) => sum + weight * value[key][column], 0));

function diagnose(weights) {
  const entropy = weights.reduce((sum, weight) => (weight === 0 ? sum : sum - weight * Math.log(weight)), 0);
  const sensitivity = weights.reduce((sum, weight) => sum + weight * (1 - weight), 0);
  return {
    entropy,
    effective_keys: weights.some((weight) => weight !== 0) ? Math.exp(entropy) : 0,
    softmax_sensitivity: sensitivity,
  };
}
