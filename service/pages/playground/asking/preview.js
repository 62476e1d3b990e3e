// The browser's own numbers, shown while the service has not answered yet.
import { pairsFeatures } from "../inputs/parameters.js";
import { attend } from "../reference/attend.js";
import { isLarge, sizesOf } from "../state/store.js";
import { tensorsOf } from "./request.js";

const MAX_PRODUCTS = 4e6;

// Normalizers whose weights are no shares, of which the service gives no diagnostics.
const WITHOUT_SHARES = ["sigmoid", "relu", "none"];

// Returns numbers as an answer has them; null where the browser cannot know them, or the service would refuse.
export function previewOf(state, request, catalogue) {
  if (isLarge(state)) return null;
  const { queries, keys, values, queryFeatures, keyFeatures } = sizesOf(state);
  const entry = catalogue.scoreModels.find(({ name }) => name === state.scoreModel.name);
  const fits = (!pairsFeatures(entry) || queryFeatures === keyFeatures) && (!state.value || values === keys);
  if (!fits || queries * keys * queryFeatures > MAX_PRODUCTS) return null;
  return numbersOf({ ...request, ...tensorsOf(state) });
}

// The same of a request that holds its numbers, whatever its size.
export function numbersOf(request) {
  const found = attend(request);
  if (!found || isRefused(request, found)) return null;
  const { scores, logits, weights, output, diagnostics } = found;
  return { scores, logits, weights, output, ranking: null, diagnostics: rowsOf(request, diagnostics) };
}

const isRefused = ({ normalizer }, { logits }) =>
  normalizer.name === "proportional" && logits.some((row) => row.some((logit) => logit < 0 && logit !== -Infinity));

function rowsOf({ normalizer }, diagnostics) {
  const haveShares = !WITHOUT_SHARES.includes(normalizer.name);
  return Object.fromEntries(
    Object.keys(diagnostics[0]).map((name) => [name, haveShares ? diagnostics.map((row) => row[name]) : null]),
  );
}
