// How far a row is from saturation: the largest entry of its Jacobian, against the largest that there can be.
import { element, setAttributes, setStyle, setText } from "../../page/dom.js";
import { t } from "../../words/i18n.js";
import { formatNumber, formatPercent } from "../../words/numbers.js";

const [VANISHING, WEAK] = [0.1, 0.5];

const stateOf = (share) => (share < VANISHING ? "vanishing" : share < WEAK ? "weak" : "alive");

export function createGauge() {
  const sentence = element("p");
  const level = element("span", { class: "level" });
  const bar = element("div", { class: "gauge", role: "meter", "aria-valuemin": "0" }, level);
  const low = element("span", {}, "0");
  const high = element("span");
  const ends = element("p", { class: "ends hint", "aria-hidden": "true" }, low, high);
  const root = element("div", { class: "saturation" }, sentence, bar, ends);

  // `most` is null for a normalizer whose slopes have no bound.
  function paint({ jacobian, most, logits, query, normalizer }) {
    const norm = jacobian.flat().reduce((largest, slope) => Math.max(largest, Math.abs(slope)), 0);
    const isBlind = logits.every((logit) => logit === -Infinity);
    const share = most === null || isBlind || Number.isNaN(norm) ? null : Math.min(1, norm / most);
    const values = {
      query,
      norm: formatNumber(norm),
      most: formatNumber(most ?? 0),
      percent: formatPercent(share ?? 0),
    };
    const state = share === null ? (norm === 0 ? "vanishing" : "alive") : stateOf(share);
    const said = t(
      `slopes.${isBlind ? "blind" : Number.isNaN(norm) ? "broken" : share === null ? "norm" : "share"}`,
      values,
    );
    const meaning =
      isBlind || Number.isNaN(norm) ? "" : t(`slopes.${state}${normalizer === "softmax" ? "" : "_other"}`);
    setText(sentence, `${said} ${meaning}`.trim());
    setAttributes(root, { "data-state": isBlind || Number.isNaN(norm) ? null : state });
    for (const part of [bar, ends]) part.hidden = share === null;
    if (share === null) return;
    setText(high, values.most);
    setStyle(level, "width", `${100 * share}%`);
    setAttributes(bar, {
      "aria-label": t("slopes.meter"),
      "aria-valuemax": String(most),
      "aria-valuenow": String(norm),
      "aria-valuetext": said,
    });
  }

  return { root, paint };
}
