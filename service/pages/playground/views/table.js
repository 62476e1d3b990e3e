// The numbers as plain tables: every digit, to read and to copy.
import { element, setAttributes, setText } from "../page/dom.js";
import { t } from "../words/i18n.js";
import { namesOf } from "../words/names.js";
import { formatFull } from "../words/numbers.js";

const COLUMNS = { scores: "key", weights: "key", output: "value" };

export const table = {
  name: "table",
  options: () => ({}),
  readOptions: () => ({}),
  create({ root }) {
    const tables = Object.fromEntries(Object.keys(COLUMNS).map((stage) => [stage, createTable(stage)]));
    root.append(...Object.values(tables).map((one) => one.root));
    return {
      update({ shown: { numbers, view } }) {
        for (const [stage, { root: own, update }] of Object.entries(tables)) {
          own.hidden = !numbers[stage];
          if (numbers[stage]) update(numbers[stage], view);
        }
      },
    };
  },
};

function createTable(stage) {
  const caption = element("caption");
  const head = element("thead");
  const body = element("tbody");
  const plain = element("table", { class: "plain" }, caption, head, body);
  const root = element("div", { class: "scroller", tabindex: "0", role: "region" }, plain);
  let built = "";
  let cells = [];
  let written = [];

  function build(rows, columns) {
    cells = rows.map(() => columns.map(() => element("td")));
    written = rows.map(() => []);
    const names = columns.map((name) => element("th", { scope: "col" }, name));
    head.replaceChildren(element("tr", {}, element("td"), ...names));
    body.replaceChildren(
      ...rows.map((name, row) => element("tr", {}, element("th", { scope: "row" }, name), ...cells[row])),
    );
  }

  // A number that has stayed the same is not written again.
  function write(number, row, column) {
    if (Object.is(written[row][column], number)) return;
    written[row][column] = number;
    cells[row][column].textContent = formatFull(number);
  }

  return {
    root,
    update(numbers, view) {
      setText(caption, t(`stage.${stage}`));
      setAttributes(root, { "aria-label": caption.textContent });
      const names = [namesOf(view, "query", numbers.length), namesOf(view, COLUMNS[stage], numbers[0].length)];
      const next = JSON.stringify(names);
      if (next !== built) build(...names);
      built = next;
      numbers.forEach((line, row) => line.forEach((number, column) => write(number, row, column)));
    },
  };
}
