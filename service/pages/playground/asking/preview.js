// The browser's own numbers, shown while the service has not answered yet.
import { pairsFeatures } from "../inputs/parameters.js";
import { attend } from "../reference/attend.js";
import { isLarge, sizesOf } from "../state/store.js";
import { tensorsOf } from "./request.js";

const MAX_PRODUCTS = 4e6;

const nearlyOne = (sum) => Math.abs(sum - 1) < 1e-9;

// Returns numbers as an answer has them; null where the browser cannot know them, or the service would refuse.
export function previewOf(state, request, catalogue) {
  if (isLarge(state)) return null;
  const { queries, keys, values, queryFeatures, keyFeatures } = sizesOf(state);
  const entry = catalogue.scoreModels.find(({ name }) => name === state.scoreModel.name);
  const fits = (!pairsFeatures(entry) || queryFeatures === keyFeatures) && (!state.value || values === keys);
  if (!fits || queries * keys * queryFeatures > MAX_PRODUCTS) return null;
  const found = attend({ ...request, ...tensorsOf(state) });
  if (!found || isRefused(state, found)) return null;
  const { scores, logits, weights, output, diagnostics } = found;
  return { scores, logits, weights, output, ranking: null, diagnostics: rowsOf(weights, diagnostics) };
}

const isRefused = ({ normalizer }, { logits }) =>
  normalizer.name === "proportional" && logits.some((row) => row.some((logit) => logit < 0 && logit !== -Infinity));

function rowsOf(weights, diagnostics) {
  const areShares = weights.every((row) => row.every((weight) => weight === 0) || nearlyOne(sumOf(row)));
  return Object.fromEntries(
    Object.keys(diagnostics[0]).map((name) => [name, areShares ? diagnostics.map((row) => row[name]) : null]),
  );
}

const sumOf = (row) => row.reduce((sum, weight) => sum + weight, 0);
