// The numbers at the cursor as a plain table: what the browser has, what the service has answered, how far apart.
import { wordsOf } from "../../explain/panel.js";
import { element, svgElement } from "../../page/dom.js";
import { t } from "../../words/i18n.js";
import { namesOf } from "../../words/names.js";
import { formatDifference, formatFull, formatNumber } from "../../words/numbers.js";
import { DIAGNOSTICS } from "./curves.js";

const sumOf = (weights, keys) => keys.reduce((sum, key) => sum + weights[key], 0);

// `browser` and `service` are rows with weights and diagnostics; null where there is none, or none yet.
export function tableOf({ caption, view, named, browser, service }) {
  const count = browser?.weights.length ?? service?.weights.length ?? 0;
  const names = namesOf(view, "key", count);
  const rest = names.map((_, key) => key).filter((key) => !named.includes(key));
  const weightAt = (read) => [browser, service].map((row) => row && read(row.weights));
  const lines = [
    ...named.map((key, look) => lineOf(names[key], weightAt((weights) => weights[key]), look)),
    ...(rest.length ? [lineOf(t("sweep.rest", { count: rest.length }), weightAt((weights) => sumOf(weights, rest)), "rest")] : []),
    ...DIAGNOSTICS.map((name) => lineOf(t(`diagnostics.${wordsOf(name, view)}`), [browser?.[name], service?.[name]], null)),
  ];
  const heads = ["ranking.key", "explain.browser", "explain.service", "explain.difference"];
  return plainTable(caption, heads.map((name) => t(name)), lines);
}

export function plainTable(caption, heads, lines) {
  const head = element("tr", {}, ...heads.map((text) => (text ? element("th", { scope: "col" }, text) : element("td"))));
  return element(
    "table",
    { class: "plain values" },
    element("caption", {}, caption),
    element("thead", {}, head),
    element("tbody", {}, ...lines),
  );
}

function lineOf(name, [browser, service], look) {
  const known = [browser, service].every((value) => typeof value === "number");
  const apart = known && !Object.is(browser, service) ? Math.abs(browser - service) : 0;
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, look === null ? null : swatch(look), name),
    cellOf(browser, "–"),
    cellOf(service, "…"),
    element("td", {}, known ? formatDifference(apart) : "–"),
  );
}

export const swatch = (look) =>
  svgElement(
    "svg",
    { class: "swatch", width: 28, height: 8, "aria-hidden": "true" },
    svgElement("path", { class: look === "rest" ? "line rest" : `line look-${look}`, d: "M0 4H28" }),
  );

function cellOf(value, missing) {
  const isNumber = typeof value === "number";
  return element("td", { title: isNumber ? formatFull(value) : null }, isNumber ? formatNumber(value, 6) : missing);
}
