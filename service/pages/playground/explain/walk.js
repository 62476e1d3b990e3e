// The step bar: walks through the calculation of a cell and on to the next, and marks what each step is about.
import { announce } from "../page/notices.js";
import { byId, element, setAttributes, setText } from "../page/dom.js";
import { t } from "../words/i18n.js";
import { elementsOf, neighbourOf, stopsOf } from "./walk_cells.js";

const KEYS = { ArrowLeft: -1, ArrowRight: 1 };

// `focus` moves the focus of the page to a stage, row and column.
export function createWalk(focus) {
  const root = byId("walk");
  const back = element("button", { type: "button", class: "icon", id: "walk-back" }, "◀");
  const place = element("span", { class: "walk-at" });
  const on = element("button", { type: "button", class: "icon", id: "walk-on" }, "▶");
  root.setAttribute("role", "group");
  root.append(back, place, on);
  // The stop of the walk at the cell that it is at; null when there is no walk.
  let at = null;
  let cell = "";
  // The stop to take at the cell whose explanation is on its way: 0, or −1 for the last.
  let awaited = null;
  let now = null;
  let stops = [];

  back.addEventListener("click", () => move(-1));
  on.addEventListener("click", () => move(1));
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    if (event.key === "Escape") end();
    else if (Object.hasOwn(KEYS, event.key)) move(KEYS[event.key]);
    else return;
    event.preventDefault();
  });

  const cellOf = ({ stage, row, key, column }) => JSON.stringify(stage === "output" ? [stage, row, column] : [row, key]);

  function move(by) {
    if (!canMove(by) || awaited !== null) return;
    const next = at === null ? 0 : at + by;
    if (next >= 0 && next < stops.length) {
      at = next;
      paint();
      tell();
      return;
    }
    const { stage, row, column } = neighbourOf(now.state, by);
    awaited = by > 0 ? 0 : -1;
    at = null;
    cell = cellOf({ stage, row, key: column, column });
    focus(stage, row, column);
  }

  function canMove(by) {
    if (!now) return false;
    if (at === null) return by > 0 && (stops.length > 0 || neighbourOf(now.state, by) !== null);
    return (at + by >= 0 && at + by < stops.length) || neighbourOf(now.state, by) !== null;
  }

  function end() {
    at = null;
    awaited = null;
    paint();
  }

  function paint() {
    const stop = at === null ? null : stops[at];
    const marked = new Set((stop?.cells ?? []).flatMap(elementsOf));
    for (const each of document.querySelectorAll("[data-walked]")) if (!marked.has(each)) each.removeAttribute("data-walked");
    for (const each of marked) each.setAttribute("data-walked", "");
    for (const each of document.querySelectorAll("[data-walking]")) setAttributes(each, { "data-walking": null, "aria-current": null });
    const line = stop && document.querySelector(stop.selector);
    if (line) setAttributes(line, { "data-walking": true, "aria-current": "step" });
    setText(place, stop ? t("walk.at", { number: at + 1, count: stops.length }) : "");
    setAttributes(root, { "aria-label": t("walk.bar"), title: t("walk.title") });
    setAttributes(back, { "aria-label": t("walk.back"), "aria-disabled": String(!canMove(-1)) });
    setAttributes(on, { "aria-label": t("walk.on"), "aria-disabled": String(!canMove(1)) });
  }

  // Shows and says the step that the reader has gone to.
  function tell() {
    const line = document.querySelector(stops[at].selector);
    line?.scrollIntoView({ block: "nearest" });
    const step = [...(line?.querySelectorAll("code, .step-sentence, caption, th, td, h4") ?? [])].map((each) => each.textContent.trim());
    const values = { pair: byId("explain-pair").textContent, step: step.filter(Boolean).join(" ") };
    announce(t("walk.said", { ...values, number: at + 1, count: stops.length }));
  }

  return {
    // `isPending` says that the explanation is still that of another cell or result.
    update(state, explanation, isPending) {
      now = { state };
      const here = cellOf(state.focus);
      if (here !== cell) [at, awaited] = [null, null];
      cell = here;
      const isKnown = !isPending || state.focus.stage === "output";
      if (!isKnown && awaited !== null) stops = [];
      else if (isKnown || at === null) stops = stopsOf(explanation, state);
      const arrives = awaited !== null && isKnown;
      if (arrives) at = stops.length ? (awaited < 0 ? stops.length - 1 : 0) : null;
      if (arrives) awaited = null;
      if (at !== null) at = Math.min(at, stops.length - 1);
      paint();
      if (arrives && at !== null) tell();
    },
  };
}
