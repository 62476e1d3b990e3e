// The answer from a memory with too many keys for a map: the keys with the largest weights, and the output.
import { byId, element } from "../page/dom.js";
import { t } from "../words/i18n.js";
import { nameOf } from "../words/names.js";
import { formatNumber } from "../words/numbers.js";

const MAX_OUTPUTS = 16;

export function createRanking() {
  const root = byId("ranking");
  return {
    // `state` is the one that was asked, with the names and the language of now.
    update(state, { ranking, output }) {
      root.replaceChildren(...ranking.map((keys, row) => rowOf(state, keys, output?.[row], row)));
    },
  };
}

function rowOf(state, keys, output, row) {
  const query = nameOf(state, "query", row);
  const head = ["ranking.key", "stage.scores", "stage.weights"].map((name) =>
    element("th", { scope: "col" }, t(name)),
  );
  const lines = keys.map(({ key, label, score, weight }) =>
    element(
      "tr",
      { "data-key": key },
      element("th", { scope: "row" }, label ?? t("default.key", { number: key + 1 })),
      element("td", { class: "value" }, formatNumber(score)),
      element("td", { class: "value" }, formatNumber(weight, 4, { fixed: true })),
    ),
  );
  return element(
    "section",
    { "data-row": row },
    element(
      "table",
      { class: "terms" },
      element("caption", {}, t("ranking.caption", { query, count: keys.length })),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...lines),
    ),
    output ? element("p", {}, outputOf(state, output)) : null,
  );
}

function outputOf(state, output) {
  const numbers = output
    .slice(0, MAX_OUTPUTS)
    .map((value, column) =>
      t("said.weight", { key: nameOf(state, "value", column), number: formatNumber(value) }),
    );
  const rest = output.length > MAX_OUTPUTS ? t("ranking.more", { count: output.length - MAX_OUTPUTS }) : "";
  return t("ranking.output", { numbers: numbers.join(t("said.separator")) + rest });
}
