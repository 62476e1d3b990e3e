// The browser's own attention, in float64 and for one matrix of queries; it shares nothing with the service.
import { additive } from "./additive.js";
import { gaussian, laplacian } from "./distances.js";
import { none, proportional, relu, sigmoid } from "./elementwise.js";
import { alibi, placesOf, rotary } from "./positions.js";
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
// read.  So it does for other types of numbers than its own, scaled angles, and slopes for several heads.
//
// `key` and `value` are all there are, also those that `past_key` holds: of the past only its length counts.
export function attend(request) {
  const { value, normalizer } = request;
  const normalize = NORMALIZERS[normalizer.name];
  const scores = normalize && !isUnknown(request) ? scoresOf(request) : null;
  if (!scores) return null;
  const logits = logitsOf(scores, request);
  const weights = logits.map((row) => weigh(row, normalize, normalizer));
  const output = value ? weights.map((row) => mixed(row, value)) : null;
  return { scores, logits, weights, output, diagnostics: weights.map(diagnose) };
}

const isUnknown = ({ query, key, mask, score_modifier: modifier, dtype, position, bias }) =>
  modifier ||
  mask?.formula ||
  (dtype ?? "float64") !== "float64" ||
  position?.scaling ||
  Array.isArray(position?.slopes) ||
  !isBias(bias, query.length, key.length);

function scoresOf(request) {
  const { query, key, position, score_model: model } = request;
  const scoreModel = SCORE_MODELS[model.name];
  const [turnQuery, turnKey] = [query, key].map(([vector]) =>
    position?.name === "rotary" ? rotary(position, vector.length) : (unturned) => unturned,
  );
  if (!scoreModel || !turnQuery || !turnKey) return null;
  const score = scoreModel(model);
  const places = placesOf(request);
  const keys = key.map((row, index) => turnKey(row, places.key(index)));
  return query.map((row, index) => {
    const turned = turnQuery(row, places.query(index));
    return keys.map((column) => score(turned, column));
  });
}

// Capped, then biased, then masked: an infinite bias hides a key, too.
function logitsOf(scores, request) {
  const { mask, positions, softcap, bias, position } = request;
  const cap = softcap ? (score) => softcap * Math.tanh(score / softcap) : (score) => score;
  const distance = position?.name === "alibi" ? alibi(position, placesOf(request)) : () => 0;
  const logit = (score, i, j) => {
    const added = biasOf(bias, i, j);
    const visible = added !== -Infinity && isVisible(mask, i, j, positions);
    return visible ? cap(score) + added + distance(i, j) : -Infinity;
  };
  return scores.map((row, i) => row.map((score, j) => logit(score, i, j)));
}

const isBias = (bias, queries, keys) => {
  if (!Array.isArray(bias)) return true;
  const rows = Array.isArray(bias[0]) ? bias : [bias];
  const fits = (row) => Array.isArray(row) && [1, keys].includes(row.length) && !row.some(Array.isArray);
  return [1, queries].includes(rows.length) && rows.every(fits);
};

// A number, one for each key, or a matrix; an axis of one entry stands for all.  null is minus infinity.
function biasOf(bias, query, key) {
  if (bias === undefined) return 0;
  if (!Array.isArray(bias)) return bias ?? -Infinity;
  const row = Array.isArray(bias[0]) ? bias[bias.length > 1 ? query : 0] : bias;
  return row?.[row.length > 1 ? key : 0] ?? -Infinity;
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
