// What the service says of a candidate: right or wrong, the likely cause, each result, and the largest differences.
import { element } from "../../page/dom.js";
import { inLanguage, t } from "../../words/i18n.js";
import { namesOf } from "../../words/names.js";
import { formatDifference, formatFull, formatNumber } from "../../words/numbers.js";
import { shortNameOfSlice } from "../../words/slices.js";
import { FIELDS } from "../../files/kernel.js";
import { columnNames } from "./differences.js";

const DIGITS = 7;

const SEPARATOR = "; or ";

export const fieldName = (field) => t(`kernel.field_${field}`);

const SPECIAL = { NaN, Infinity };

// As the service writes a number that may be none.
const number = (value) => (value === null ? "–" : formatNumber(SPECIAL[value] ?? value, 4));

// The sentence that says it all, the cause, and what to change.
export function verdictOf({ passed, rtol, atol, likely_cause: cause, advice }) {
  const tolerance = t("kernel.tolerance", { rtol: formatDifference(rtol), atol: formatDifference(atol) });
  const title = element(
    "p",
    { class: "outcome" },
    `${passed ? "✓" : "✗"} ${t(passed ? "kernel.passed" : "kernel.failed")}`,
  );
  const causes = cause?.split(SEPARATOR) ?? [];
  const named = causes.flatMap((name, index) => [...(index ? [` ${t("kernel.or")} `] : []), element("code", {}, name)]);
  const because = element(
    "p",
    { class: "cause" },
    `${t(causes.length ? "kernel.cause" : "kernel.no_cause")} `,
    ...named,
  );
  return element(
    "div",
    { class: "verdict", "data-passed": String(passed) },
    title,
    ...(passed ? [] : [because]),
    element("p", { class: "advice" }, inLanguage(advice)),
    element("p", { class: "hint" }, tolerance),
  );
}

// Where a cell is, as the page calls it.
export function placeName(view, { field, slice, row, column }, { columns, slices }, isShort = false) {
  const names = [namesOf(view, "query", row + 1)[row], columnNames(view, field, columns)[column]];
  const place = { field: fieldName(field), row: names[0], column: names[1], slice: shortNameOfSlice(view, slice) };
  const kind = isShort ? "pair" : field === "logsumexp" ? "row" : "place";
  return t(`kernel.${kind}${slices > 1 ? "_of_slice" : ""}`, place);
}

function tableOf(caption, heads, lines) {
  const head = element("tr", {}, ...heads.map((name) => element("th", { scope: "col" }, name)));
  const body = lines.map(([name, ...cells]) =>
    element("tr", {}, element("th", { scope: "row" }, name), ...cells.map((cell) => element("td", {}, cell))),
  );
  const table = element(
    "table",
    { class: "plain" },
    element("caption", {}, caption),
    element("thead", {}, head),
    element("tbody", {}, ...body),
  );
  return element("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": caption }, table);
}

// Each result, with how far it is from the reference.
export function fieldsTable({ fields }) {
  const heads = ["result", "verdict", "max_abs", "max_rel", "correlation", "worst"].map((name) =>
    t(`kernel.head_${name}`),
  );
  const lines = FIELDS.filter((field) => fields[field]).map((field) => {
    const { passed, max_abs_error: abs, max_rel_error: rel, correlation, worst_index: worst } = fields[field];
    const at = worst ? `[${worst.join(", ")}]` : "–";
    return [
      fieldName(field),
      `${passed ? "✓" : "✗"} ${t(passed ? "kernel.right" : "kernel.wrong")}`,
      number(abs),
      number(rel),
      number(correlation),
      passed ? "–" : at,
    ];
  });
  return tableOf(t("kernel.results"), heads, lines);
}

export function largestTable(view, field, cells, sizes) {
  const heads = ["cell", "expected", "received", "difference"].map((name) => t(`kernel.head_${name}`));
  const lines = cells.map((cell) => [
    placeName(view, { field, ...cell }, sizes, true),
    ...[cell.expected, cell.received].map((value) => formatFull(Number(value.toPrecision(DIGITS)))),
    formatDifference(cell.difference),
  ]);
  return tableOf(t("kernel.largest", { field: fieldName(field) }), heads, lines);
}
