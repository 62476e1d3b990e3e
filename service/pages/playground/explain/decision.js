// A row in one sentence: whom the query attends to most, and what comes out of it.
import { t } from "../words/i18n.js";
import { nameOf } from "../words/names.js";
import { formatNumber, formatPercent } from "../words/numbers.js";

const nearlyOne = (sum) => Math.abs(sum - 1) < 1e-6;

export function decide(state, { logits, weights, output }, row) {
  const query = nameOf(state, "query", row);
  const visible = (_, key) => logits?.[row]?.[key] !== -Infinity;
  if (!weights[row].some(visible)) return t("decision.blind", { query });
  if (weights[row].some(Number.isNaN)) return t("decision.broken", { query });
  const key = largestIndex(weights[row].map((weight, index) => (visible(weight, index) ? weight : -Infinity)));
  const weight = weights[row][key];
  const isShare = nearlyOne(weights[row].reduce((sum, each) => sum + each, 0));
  const attends = t(isShare ? "decision.share" : "decision.weight", {
    query,
    key: nameOf(state, "key", key),
    number: isShare ? formatPercent(weight) : formatNumber(weight),
  });
  if (!output) return t("decision.end", { sentence: attends });
  return t("decision.both", { sentence: attends, value: nameOf(state, "value", largestIndex(output[row])) });
}

export const largestIndex = (row) => row.reduce((best, value, index) => (value > row[best] ? index : best), 0);
