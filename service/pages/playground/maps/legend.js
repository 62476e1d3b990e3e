// What the colours of a heat map mean.
import { diverging, gradient, sequential } from "./colours.js";
import { element, setText } from "../page/dom.js";
import { t } from "../words/i18n.js";
import { formatNumber } from "../words/numbers.js";

export function createLegend(stage) {
  const low = element("span");
  const bar = element("span", { class: "bar", "aria-hidden": "true" });
  const high = element("span");
  const visible = element("span", { class: "key" });
  const hidden = element("span", { class: "key hatched" });
  const note = element("span", { class: "note" });
  const ramp = element("span", { class: "ramp" }, low, bar, high);
  const root = element("p", { class: "legend" }, ramp, visible, hidden, note);

  // `of` is the stage whose colours they are now.
  function update(scale, theme, of = stage) {
    const isMask = scale.kind === "mask";
    ramp.hidden = isMask;
    visible.hidden = !isMask;
    hidden.hidden = of === "output";
    setText(visible, t("legend.visible"));
    setText(hidden, t("legend.hidden"));
    setText(note, scale.outside ? t("legend.outside") : "");
    note.hidden = !scale.outside;
    if (isMask) return;
    const sequence = scale.kind === "sequential";
    setText(low, sequence ? "0" : formatNumber(-scale.largest, 2));
    setText(high, formatNumber(sequence ? 1 : scale.largest, 2));
    bar.style.setProperty("background", gradient(sequence ? sequential : (share) => diverging(2 * share - 1, theme)));
  }

  return { root, update };
}
