// The fields for the settings of B: those that A has among the inputs, with ids of their own.
import { createChoice } from "../../inputs/choices.js";
import { createDragging } from "../../inputs/drag.js";
import { createFurtherFields } from "../../inputs/further_fields.js";
import { createMaskFields } from "../../inputs/mask_fields.js";
import { element, setText } from "../../page/dom.js";
import { t } from "../../words/i18n.js";

const PREFIX = "b-";

const errorAt = (place) => element("p", { class: "field-error", "data-place": place, hidden: true });

// `field` is "score-model", "normalizer" or "mask"; the select of a mask has another id.
function optionOf(field, select, place) {
  const id = `${PREFIX}${select}`;
  const helpId = `${PREFIX}${field}-help`;
  const label = element("label", { for: id });
  const root = element(
    "div",
    { class: "option" },
    label,
    element("select", { id, "aria-describedby": helpId }),
    element("p", { id: helpId, class: "unseen" }),
    element("div", { id: `${PREFIX}${field}-parameters`, class: "parameters" }),
    errorAt(place),
  );
  return { root, update: () => setText(label, t(`option.${place}`)) };
}

function furtherFold() {
  const id = (part) => `${PREFIX}further${part}`;
  return element(
    "details",
    { id: id(""), class: "option further" },
    element("summary", { id: id("-title") }),
    element("div", { id: id("-fields"), class: "parameters" }),
    errorAt("further"),
  );
}

// `store` has get, change, hold and release, as the one of the page, and its state is that of B.
export function createControls({ root, catalogue, store, report }) {
  const options = [
    optionOf("score-model", "score-model", "score_model"),
    optionOf("normalizer", "normalizer", "normalizer"),
    optionOf("mask", "mask-kind", "mask"),
  ];
  const title = element("summary");
  const fields = element("div", { class: "compare-options" }, ...options.map((option) => option.root));
  root.append(element("details", { class: "compare-settings", open: true }, title, fields, furtherFold()));
  const shared = { store, report, within: root, prefix: PREFIX };
  const { scoreModels, normalizers } = catalogue;
  const parts = [
    createChoice({ ...shared, choice: "scoreModel", field: "score_model", id: "score-model", entries: scoreModels }),
    createChoice({ ...shared, choice: "normalizer", field: "normalizer", id: "normalizer", entries: normalizers }),
    createMaskFields(shared),
    createFurtherFields(shared),
  ];
  createDragging(root, store);
  return {
    // `used` holds the parameters that the service has used for B.
    update(state, used) {
      setText(title, t("compare.settings"));
      for (const option of options) option.update();
      for (const part of parts) part.update(state, { used, pointed: {} });
    },
  };
}
