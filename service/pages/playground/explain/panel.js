// The right panel: everything about the focused cell and its row.
import { byId, element, setText } from "../page/dom.js";
import { decide } from "./decision.js";
import { t } from "../words/i18n.js";
import { nameOf } from "../words/names.js";
import { decimalsOf, formatAligned, formatDifference, formatFull, formatNumber } from "../words/numbers.js";
import { sliceOf } from "../state/store.js";
import { stepsOf, termsOf } from "./steps.js";
import { createWalk } from "./walk.js";

const DIAGNOSTICS = ["entropy", "effective_keys", "softmax_sensitivity"];

// `focus` moves the focus of the page.
export function createExplain({ focus }) {
  const walk = createWalk(focus);
  const parts = Object.fromEntries(
    ["pair", "number", "was", "own", "decision", "steps", "terms", "compared", "diagnostics"].map((name) => [
      name,
      byId(`explain-${name}`),
    ]),
  );

  return {
    // `shown` is what the page shows: state, numbers of the service, numbers of the browser, the weights before these.
    // Of a preview the service has said nothing yet, and a pending explanation is still that of another cell.
    update({ state, numbers, reference, before, found, isPreview, isPending }, explanation) {
      const { stage, row, key, column } = state.focus;
      const isOutput = stage === "output";
      const names = {
        query: nameOf(state, "query", row),
        key: nameOf(state, "key", key),
        value: nameOf(state, "value", column),
      };
      const value = isOutput ? numbers.output[row][column] : numbers.weights[row]?.[key];
      setText(parts.pair, t(isOutput ? "explain.pair_output" : "explain.pair", names));
      setText(parts.number, formatNumber(value, 4, { fixed: !isOutput }));
      const past = isOutput ? before?.output?.[row]?.[column] : before?.weights?.[row]?.[key];
      const changed = past !== undefined && formatNumber(past) !== formatNumber(value);
      setText(parts.was, changed ? t("explain.was", { number: formatNumber(past, 4, { fixed: !isOutput }) }) : "");
      const own = isOutput ? reference?.output[row][column] : reference?.weights[row][key];
      setText(
        parts.own,
        own === undefined
          ? ""
          : t(isPreview ? "explain.own_alone" : "explain.own", {
              number: formatNumber(own, 6),
              difference: formatDifference(apart(value, own)),
            }),
      );
      setText(parts.decision, decide(state, numbers, row));
      parts.steps.replaceChildren(
        ...(isOutput ? mixOf(state, numbers, state.focus) : []),
        ...stepsOf(explanation, state),
      );
      parts.terms.replaceChildren(...termsOf(explanation, state));
      parts.compared.replaceChildren(
        ...comparedOf(state, isPreview ? null : numbers, reference, isPending ? null : explanation, found?.tolerance),
      );
      parts.diagnostics.replaceChildren(...diagnosticsOf(state, numbers, row));
      walk.update(state, explanation, isPending);
    },
  };
}

// An output is a sum over keys: one line for each.
function mixOf(state, { weights, output }, { row, column }) {
  const value = sliceOf(state, "value");
  const products = weights[row].map((weight, key) => (weight === 0 ? 0 : weight * value[key][column]));
  const decimals = decimalsOf([...products, output[row][column]], 4);
  const lines = weights[row].map((weight, key) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, nameOf(state, "key", key)),
      element("td", { class: "expression" }, `${formatNumber(weight)} × ${formatNumber(value[key][column])}`),
      element("td", { class: "value" }, formatAligned(products[key], decimals)),
    ),
  );
  const sum = element(
    "tr",
    { class: "sum" },
    element("th", { scope: "row" }, t("explain.sum")),
    element("td"),
    element("td", { class: "value" }, formatAligned(output[row][column], decimals)),
  );
  return [
    element(
      "li",
      { class: "mix" },
      element("h4", {}, t("explain.mix")),
      element("table", { class: "terms" }, element("tbody", {}, ...lines, sum)),
    ),
  ];
}

// The service's number, the browser's own, and how far they are apart.
function comparedOf(state, numbers, reference, explanation, tolerance) {
  const { stage, row, key, column } = state.focus;
  const rows =
    stage === "output"
      ? [["matrix.output", numbers?.output[row][column], reference?.output[row][column]]]
      : [
          ["matrix.scores", numbers?.scores[row][key], reference?.scores[row][key]],
          ["matrix.weights", numbers?.weights[row][key], reference?.weights[row][key]],
          ...(numbers && explanation ? [["explain.explained_weight", explanation.weight, reference?.weights[row][key]]] : []),
        ];
  const head = element(
    "tr",
    {},
    element("td"),
    ...["explain.service", "explain.browser", "explain.difference"].map((name) =>
      element("th", { scope: "col" }, t(name)),
    ),
  );
  const lines = rows.map(([name, service, browser]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, t(name)),
      numberCell(service),
      numberCell(browser),
      differenceCell(service, browser, tolerance),
    ),
  );
  return [element("thead", {}, head), element("tbody", {}, ...lines)];
}

function numberCell(value) {
  const isNumber = typeof value === "number";
  return element("td", { title: isNumber ? formatFull(value) : null }, isNumber ? formatNumber(value, 6) : "–");
}

function differenceCell(service, browser, tolerance) {
  const known = typeof service === "number" && typeof browser === "number";
  const difference = known ? apart(service, browser) : 0;
  const differs = !(difference <= tolerance);
  return element(
    "td",
    { class: known && differs ? "differs" : null },
    known ? `${differs ? "≠ " : ""}${formatDifference(difference)}` : "–",
  );
}

const apart = (one, other) => (Object.is(one, other) ? 0 : Math.abs(one - other));

function diagnosticsOf(state, { diagnostics }, row) {
  return DIAGNOSTICS.flatMap((name) => {
    const value = diagnostics[name]?.[row];
    const known = typeof value === "number";
    const words = wordsOf(name, state);
    return [
      element("dt", {}, t(`diagnostics.${words}`), element("b", {}, known ? formatNumber(value) : "–")),
      element("dd", {}, t(known ? `diagnostics.${words}_means` : "diagnostics.none")),
    ];
  });
}

// Σ w(1 − w) is how much a softmax answers to its logits; of other weights it only says how they are spread.
export const wordsOf = (name, { normalizer }) =>
  name === "softmax_sensitivity" && normalizer.name !== "softmax" ? "spread" : name;
