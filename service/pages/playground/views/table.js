// The numbers as plain tables: every digit, to read and to copy.
import { element } from "../page/dom.js";
import { t } from "../words/i18n.js";
import { namesOf } from "../words/names.js";
import { formatFull } from "../words/numbers.js";

const COLUMNS = { scores: "key", weights: "key", output: "value" };

export const table = {
  name: "table",
  options: () => ({}),
  readOptions: () => ({}),
  create: ({ root }) => ({
    update({ shown: { numbers, view } }) {
      const stages = Object.keys(COLUMNS).filter((stage) => numbers[stage]);
      root.replaceChildren(...stages.map((stage) => tableOf(stage, numbers[stage], view)));
    },
  }),
};

function tableOf(stage, rows, view) {
  const columns = namesOf(view, COLUMNS[stage], rows[0].length);
  const head = element("tr", {}, element("td"), ...columns.map((name) => element("th", { scope: "col" }, name)));
  const body = rows.map((row, index) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, namesOf(view, "query", rows.length)[index]),
      ...row.map((number) => element("td", {}, formatFull(number))),
    ),
  );
  const caption = element("caption", {}, t(`stage.${stage}`));
  const plain = element("table", { class: "plain" }, caption, element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": t(`stage.${stage}`) }, plain);
}
