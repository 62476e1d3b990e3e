// What the colours of a large matrix mean.
import { diverging, gradient, sequential } from "../../maps/colours.js";
import { DECADES } from "../../maps/overview_picture.js";
import { element, setText } from "../../page/dom.js";
import { t } from "../../words/i18n.js";
import { formatNumber } from "../../words/numbers.js";

export function createScaleLegend() {
  const [low, high] = [element("span"), element("span")];
  const bar = element("span", { class: "bar", "aria-hidden": "true" });
  const hidden = element("span", { class: "key hatched" });
  const note = element("span", { class: "note" });
  const root = element("p", { class: "legend", hidden: true }, element("span", { class: "ramp" }, low, bar, high), hidden, note);
  return {
    root,
    update({ stage, scale, largest, mask, theme }) {
      const isWeights = stage === "weights";
      const end = scale === "row" ? 1 : largest;
      const least = scale === "log" ? largest / 10 ** DECADES[stage] : 0;
      root.hidden = false;
      hidden.hidden = mask.kind === "none";
      setText(low, formatNumber(isWeights ? least : -end, 4));
      setText(high, formatNumber(end, 4));
      setText(hidden, t("legend.hidden"));
      setText(note, t(`overview.legend_${scale}`, { least: formatNumber(least, 4) }));
      bar.style.setProperty("background", gradient(isWeights ? sequential : (share) => diverging(2 * share - 1, theme)));
    },
  };
}
