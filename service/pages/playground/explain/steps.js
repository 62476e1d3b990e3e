// The service's own explanation: its steps as they come, and the terms that the score is made of.
import { element } from "../page/dom.js";
import { t } from "../words/i18n.js";
import { nameOf } from "../words/names.js";
import { decimalsOf, formatAligned, formatNumber } from "../words/numbers.js";

// `explanation` is undefined while it is on its way and null when there is none.
export function stepsOf(explanation, state) {
  if (explanation === undefined) return [element("li", { class: "pending" }, t("explain.pending"))];
  if (!Array.isArray(explanation?.steps)) return [element("li", { class: "pending" }, t("explain.unavailable"))];
  return explanation.steps.map(({ name, formula, value, sentence }) =>
    element(
      "li",
      { "data-step": String(name) },
      element("p", { class: "step-formula" }, element("code", {}, formulaOf(formula, value))),
      element("p", { class: "step-sentence" }, withNames(String(sentence ?? ""), state)),
    ),
  );
}

// Formulas that already end with their result, or are nothing else, are not given it again.
function formulaOf(formula, value) {
  const text = String(formula ?? "");
  if (typeof value !== "number" || /=|^\(?[−-]?[\d.e-]+\)?$/.test(text)) return text;
  return `${text} = ${formatNumber(value, 4)}`;
}

export function termsOf(explanation, state) {
  const terms = Array.isArray(explanation?.terms) ? explanation.terms : [];
  if (!terms.length) return [];
  const decimals = decimalsOf(
    terms.map(({ value }) => (typeof value === "number" ? value : 0)),
    4,
  );
  const lines = terms.map(({ name, value, expression }) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, withNames(String(name), state)),
      element("td", { class: "expression" }, String(expression ?? "")),
      element("td", { class: "value" }, typeof value === "number" ? formatAligned(value, decimals) : "–"),
    ),
  );
  return [element("caption", {}, t("explain.terms")), element("tbody", {}, ...lines)];
}

// The service counts features and hidden units from 0 and does not know what they are called here.
const SIDES = { query: "q: ", 查询: "q: ", key: "k: ", 键: "k: ", product: "q∘k: ", 乘积: "q∘k: " };

const FEATURE = /(?:\b(query|key) feature|(查询|键)特征|\b(product)|(乘积)|\bfeature| ?特征) (\d+)/g;

const UNIT = /(?:\bunit|隐藏单元) (\d+)/g;

function withNames(text, state) {
  const named = text.replace(FEATURE, (_, ...found) => {
    const side = found.slice(0, 4).find((each) => each !== undefined);
    return `${SIDES[side] ?? ""}${nameOf(state, "feature", Number(found[4]))}`;
  });
  return named.replace(UNIT, (_, index) => t("axis.entry", { axis: "U", number: Number(index) + 1 }));
}
