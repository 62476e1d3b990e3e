// What the live region says after a key was hidden or shown.
import { t } from "./i18n.js";
import { nameOf } from "./names.js";
import { formatNumber } from "./numbers.js";

const MAX_SPOKEN = 8;

export function saidAfterToggle(state, { logits, weights }, key, rows) {
  if (rows.some((row) => !weights[row])) return "";
  const hidden = rows.every((row) => logits[row][key] === -Infinity);
  const values = { key: nameOf(state, "key", key), query: nameOf(state, "query", rows[0]) };
  const whole = rows.length > 1;
  const said = t(
    whole ? (hidden ? "said.hidden_all" : "said.shown_all") : hidden ? "said.hidden" : "said.shown",
    values,
  );
  const spoken = weights[rows[0]]
    .slice(0, MAX_SPOKEN)
    .map((weight, index) =>
      t("said.weight", { key: nameOf(state, "key", index), number: formatNumber(weight, 4, { fixed: true }) }),
    );
  return t("said.row", { said, query: values.query, weights: spoken.join(t("said.separator")) });
}
