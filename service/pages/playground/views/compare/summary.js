// The largest difference and the focused one, in words.
import { element, setText } from "../../page/dom.js";
import { t } from "../../words/i18n.js";
import { nameOf } from "../../words/names.js";
import { formatNumber } from "../../words/numbers.js";
import { largestOf } from "./difference.js";
import { columnAxisOf } from "./maps.js";

const signed = (number) => (number > 0 ? "+" : "") + formatNumber(number);

// `focus` takes the row and the column of a cell.
export function createSummary(root, focus) {
  const largest = element("p", { class: "compare-largest" });
  const place = element("button", { type: "button", class: "tool", "data-action": "largest" });
  const values = element("p");
  const here = element("p", { class: "compare-here" });
  const box = element("div", { class: "compare-summary" }, largest, place, values, here);
  root.append(box);
  let at = null;
  place.addEventListener("click", () => focus(at.row, at.column));

  return {
    text: () => [largest.textContent, place.hidden ? "" : place.textContent, values.textContent].join(" "),
    update({ state, stage, a, b, difference, isLikeA, focused }) {
      box.hidden = !difference;
      if (!difference) return;
      const pairAt = ({ row, column }) =>
        t("compare.pair", { query: nameOf(state, "query", row), column: nameOf(state, columnAxisOf(stage), column) });
      const numbersAt = ({ row, column }) => ({
        a: formatNumber(a[stage][row][column]),
        b: formatNumber(b[stage][row][column]),
        difference: signed(difference[row][column]),
      });
      at = largestOf(difference);
      const size = Math.abs(difference[at.row][at.column]);
      setText(largest, isLikeA ? t("compare.hint") : t("compare.largest", { number: formatNumber(size) }));
      place.hidden = isLikeA || size === 0;
      values.hidden = place.hidden;
      setText(place, pairAt(at));
      place.title = t("compare.largest_title");
      setText(values, values.hidden ? "" : t("compare.numbers", numbersAt(at)));
      here.hidden = isLikeA;
      setText(here, t("compare.here", { pair: pairAt(focused), ...numbersAt(focused) }));
    },
  };
}
