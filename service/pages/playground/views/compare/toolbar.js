// Above the maps: comparisons to choose from, what the maps show, and A and B in each other's place.
import { element, setAttributes, setText } from "../../page/dom.js";
import { t } from "../../words/i18n.js";
import { PRESETS, applyPreset, isApplied } from "./presets.js";
import { STAGES, swap } from "./settings.js";

// `replace` takes an edit of the whole state and the catalogue, `choose` a stage.
export function createToolbar(root, { catalogue, replace, choose }) {
  const presets = PRESETS.map((preset) => {
    const button = element("button", { type: "button", class: "tool", "data-preset": preset.name });
    button.addEventListener("click", () => replace((draft) => applyPreset(preset, draft, catalogue)));
    return { preset, button };
  });
  const group = element("div", { class: "compare-presets", role: "group" }, ...presets.map(({ button }) => button));
  const label = element("span");
  const select = element("select", { id: "compare-stage" }, ...STAGES.map((value) => element("option", { value })));
  select.addEventListener("change", () => choose(select.value));
  const swapping = element("button", { type: "button", class: "tool", "data-action": "swap" });
  const copying = element("button", { type: "button", class: "tool", "data-action": "copy" });
  swapping.addEventListener("click", () => replace((draft) => swap(draft, catalogue)));
  copying.addEventListener("click", () => replace((draft) => Object.assign(draft.panel.options, { b: {} })));
  root.append(group, element("div", { class: "compare-tools" }, element("label", {}, label, select), swapping, copying));
  let painted = [];

  function paintPresets(state) {
    for (const { preset, button } of presets) {
      const isPossible = preset.isPossible(state);
      setText(button, t(`compare.preset_${preset.name}`));
      button.title = t(isPossible ? `compare.preset_${preset.name}_title` : `compare.preset_${preset.name}_impossible`);
      button.disabled = !isPossible;
      setAttributes(button, { "aria-pressed": String(isPossible && isApplied(preset, state, catalogue)) });
    }
  }

  return {
    update(state, stage, hasOutput) {
      setAttributes(group, { "aria-label": t("compare.presets") });
      setText(label, t("compare.show"));
      for (const option of select.options) setText(option, t(`stage.${option.value}`));
      select.options[STAGES.indexOf("output")].disabled = !hasOutput;
      select.value = stage;
      setText(swapping, t("compare.swap"));
      setText(copying, t("compare.copy"));
      copying.title = t("compare.copy_title");
      const isLikeA = Object.keys(state.panel.options.b).length === 0;
      for (const button of [swapping, copying]) button.disabled = isLikeA;
      const { scoreModel, normalizer, mask, further, query, key, panel, language } = state;
      const next = [scoreModel, normalizer, mask, further, query, key, panel, language];
      if (next.some((part, index) => part !== painted[index])) paintPresets(state);
      painted = next;
    },
  };
}
