// The formula of each stage, with the one that is being looked at highlighted.
import { byId, element } from "../page/dom.js";
import { t } from "../words/i18n.js";
import { mathOf } from "./latex.js";
import { shortened } from "./shortened.js";

const MASK = "z_j = a(q, k_j)";

const MODIFIED = "z_j = m(a(q, k_j))";

const OUTPUT = "o = \\sum_j w_j v_j";

// The formula of each stage, as far as the state uses it.
export function latexOf(state, catalogue) {
  const scoreModel = catalogue.scoreModels.find(({ name }) => name === state.scoreModel.name);
  const normalizer = catalogue.normalizers.find(({ name }) => name === state.normalizer.name);
  const isModified = state.further["score_modifier/formula"] !== null;
  return {
    scores: shortened(scoreModel.name, scoreModel.formula.latex, state.scoreModel.parameters),
    mask: isModified ? MODIFIED : MASK,
    weights: shortened(normalizer.name, normalizer.formula.latex, state.normalizer.parameters),
    output: OUTPUT,
  };
}

export function createFormula(catalogue) {
  const root = byId("formula");
  let shown = "";

  return {
    update(state) {
      const latex = latexOf(state, catalogue);
      const next = [state.language, ...Object.values(latex)].join(" ");
      if (next !== shown) {
        shown = next;
        root.replaceChildren(
          part("scores", mathOf(latex.scores)),
          part("mask", mathOf(latex.mask), t("formula.mask")),
          part("weights", mathOf(latex.weights)),
          part("output", mathOf(latex.output)),
        );
      }
      for (const each of root.children) each.classList.toggle("active", each.dataset.stage === state.focus.stage);
    },
  };
}

function part(stage, math, remark) {
  return element(
    "li",
    { "data-stage": stage },
    element("span", { class: "number", "aria-hidden": "true" }),
    math,
    remark ? element("small", {}, remark) : null,
  );
}
