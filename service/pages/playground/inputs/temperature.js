// The temperature of a softmax: a slider in even steps of its logarithm, a field, and the way back to 1.
import { element, setAttributes, setText } from "../page/dom.js";
import { t } from "../words/i18n.js";
import { formatFull, formatNumber, parseNumber } from "../words/numbers.js";

export const TEMPERATURES = { lowest: 0.05, highest: 100 };

const { lowest: LOWEST, highest: HIGHEST } = TEMPERATURES;

const STEPS = 1000;

const toStep = (value) => (STEPS * Math.log(value / LOWEST)) / Math.log(HIGHEST / LOWEST);

const fromStep = (step) => Number((LOWEST * (HIGHEST / LOWEST) ** (step / STEPS)).toPrecision(3));

// `prefix` begins ids; `hold` and `release` frame the moves of the slider.
export function createTemperature({ prefix, set, report, hold, release }) {
  const id = `${prefix}temperature`;
  const label = element("label", { for: id });
  const slider = element("input", { type: "range", min: "0", max: String(STEPS), step: "1", id: `${id}-slider` });
  const field = element("input", { type: "text", inputmode: "decimal", autocomplete: "off", id, "data-above": "0" });
  const reset = element("button", { type: "button", class: "tool", id: `${id}-reset` });
  const error = element("p", { class: "field-error", "data-place": "normalizer/temperature", hidden: true });

  function accept(value) {
    setAttributes(field, { "aria-invalid": null });
    report(null);
    set(value);
  }

  let isPressed = false;
  slider.addEventListener("pointerdown", () => {
    isPressed = true;
  });
  slider.addEventListener("input", () => {
    hold(isPressed ? "drag" : "keys");
    accept(fromStep(Number(slider.value)));
  });
  // A slider that comes back to where it was reports no change.
  for (const type of ["change", "pointerup", "pointercancel", "touchend", "keyup", "blur"])
    slider.addEventListener(type, () => {
      isPressed = false;
      release();
    });
  reset.addEventListener("click", () => accept(null));
  field.addEventListener("input", () => {
    const value = parseNumber(field.value);
    if (value !== null && value > 0) {
      accept(value);
      return;
    }
    setAttributes(field, { "aria-invalid": "true" });
    reset.disabled = false;
    report({ key: "problem.temperature", values: { text: field.value } });
  });

  return {
    // What cannot be read gives way to other numbers.
    forget: () => setAttributes(field, { "aria-invalid": null }),
    root: element(
      "div",
      { class: "parameter temperature" },
      element("div", { class: "temperature-line" }, label, slider, field, reset),
      error,
    ),
    update(state) {
      const value = state.normalizer.parameters.temperature ?? 1;
      setText(label, t("parameter.temperature"));
      setText(reset, t("temperature.reset"));
      reset.disabled = value === 1 && !field.hasAttribute("aria-invalid");
      setAttributes(slider, { "aria-label": t("temperature.slider"), "aria-valuetext": formatNumber(value) });
      slider.value = String(Math.round(toStep(Math.min(HIGHEST, Math.max(LOWEST, value)))));
      if (!field.hasAttribute("aria-invalid") && parseNumber(field.value) !== value) field.value = formatFull(value);
    },
  };
}
