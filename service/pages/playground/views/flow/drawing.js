// The drawing of a flow: bars with names, and ribbons, each of which is an option that explains its weight.
import { sequential } from "../../maps/colours.js";
import { setAttributes, svgElement } from "../../page/dom.js";
import { fitted } from "../fitted.js";
import { bandPath, LINE_HEIGHT } from "./geometry.js";

const FONT = 12;

const LABEL_GAP = 6;

// Thinner ribbons have no room for their number.
const MIN_TEXT_THICKNESS = 12;

const DWELL_MILLISECONDS = 140;

// A picture that changes more often follows at once instead of moving.
const CALM_MILLISECONDS = 300;

// `explain` is called with the row and the key of a ribbon, by their places in the drawing.
export function createDrawing({ explain }) {
  const behind = svgElement("g");
  const ribbons = svgElement("g");
  const front = svgElement("g", { class: "texts" });
  const root = svgElement("svg", { class: "flow", role: "group" }, svgElement("defs", {}, hatching()), behind, ribbons, front);
  const made = new Map();
  let model = null;
  let dwell = null;
  let drawnAt = 0;

  const placeOf = (target) => {
    const option = target.closest?.("[data-ribbon]");
    return option ? model.ribbons.find(({ id }) => id === option.dataset.ribbon) : null;
  };

  ribbons.addEventListener("pointerover", (event) => {
    clearTimeout(dwell);
    const ribbon = placeOf(event.target);
    if (event.pointerType === "mouse" && ribbon) dwell = setTimeout(() => explain(ribbon), DWELL_MILLISECONDS);
  });
  ribbons.addEventListener("pointerleave", () => clearTimeout(dwell));
  ribbons.addEventListener("focusin", (event) => {
    const ribbon = placeOf(event.target);
    setStop(ribbon.id);
    explain(ribbon);
  });
  ribbons.addEventListener("click", (event) => {
    const ribbon = placeOf(event.target);
    if (!ribbon) return;
    clearTimeout(dwell);
    made.get(ribbon.id).focus({ preventScroll: true });
    explain(ribbon);
  });
  ribbons.addEventListener("keydown", (event) => {
    const from = placeOf(event.target);
    const to = from && nextOf(event.key, from, model.ribbons);
    if (!to) return;
    event.preventDefault();
    made.get(to.id).focus({ preventScroll: false });
  });

  function setStop(id) {
    for (const [name, option] of made) option.setAttribute("tabindex", name === id ? "0" : "-1");
  }

  function paintRibbons() {
    const wanted = new Set(model.ribbons.map(({ id }) => id));
    for (const [id, option] of made) {
      if (wanted.has(id)) continue;
      option.remove();
      made.delete(id);
    }
    for (const ribbon of model.ribbons) {
      if (!made.has(ribbon.id)) made.set(ribbon.id, optionOf(ribbon.id));
      paintRibbon(made.get(ribbon.id), ribbon, model);
    }
    const held = document.activeElement?.dataset?.ribbon;
    const selected = model.ribbons.find(({ isSelected }) => isSelected) ?? model.ribbons[0];
    if (selected) setStop(wanted.has(held) ? held : selected.id);
    // A reader hears them in the order of rows and keys; moving those that are in place would take their focus.
    model.ribbons.forEach(({ id }, index) => {
      if (ribbons.children[index] !== made.get(id)) ribbons.insertBefore(made.get(id), ribbons.children[index] ?? null);
    });
  }

  return {
    root,
    // `next` holds width, height, columns, label, listLabel, heads, and bars and ribbons with their texts.
    draw(next) {
      model = next;
      const now = performance.now();
      root.classList.toggle("moves", now - drawnAt > CALM_MILLISECONDS);
      drawnAt = now;
      setAttributes(root, { width: next.width, height: next.height, "aria-label": next.label });
      setAttributes(ribbons, { role: next.ribbons.length ? "listbox" : null, "aria-label": next.listLabel });
      behind.replaceChildren(...next.bars.map(barOf));
      paintRibbons();
      front.replaceChildren(...next.heads.map(headOf), ...next.bars.flatMap(labelOf), ...next.ribbons.flatMap((ribbon) => numberOf(ribbon, next)));
    },
  };
}

function hatching() {
  const line = svgElement("path", { d: "M-1 7L7 -1M2 10L10 2", class: "hatch" });
  return svgElement("pattern", { id: "flow-hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse" }, line);
}

const optionOf = (id) =>
  svgElement("g", { role: "option", "data-ribbon": id }, svgElement("path"), svgElement("path"), svgElement("rect"));

function paintRibbon(option, ribbon, { columns, width }) {
  const [first, second, target] = option.children;
  const { from, to, thickness, weight, label, isSelected, isOwn, slot } = ribbon;
  setAttributes(option, {
    "aria-label": label,
    "aria-selected": String(isSelected),
    class: `${isOwn ? "own" : "other"}${weight < 0 ? " negative" : ""}`,
    "data-weight": weight,
  });
  const fill = sequential(Math.abs(weight));
  setAttributes(first, { fill, d: bandPath(columns.query + columns.bar, from, columns.key, to, thickness) });
  setAttributes(second, {
    fill,
    d: columns.value === null ? null : bandPath(columns.key + columns.bar, to, columns.value, to, thickness),
  });
  setAttributes(target, { x: columns.key, width: slot && width - columns.key, y: slot?.y, height: slot?.height });
}

function barOf({ x, y, height, width, isHidden, isOwn }) {
  const kind = isHidden ? "bar hidden-key" : isOwn ? "bar own" : "bar";
  return svgElement("rect", { class: kind, x, y, width, height: Math.max(height, 1), fill: isHidden ? "url(#flow-hatch)" : null });
}

const headOf = ({ x, anchor, text }) => svgElement("text", { class: "head", x, y: 14, "text-anchor": anchor }, text);

// A name and, below or behind it, what it counts, `at` this height; an `anchor` "end" is on the left of the bar.
function labelOf({ x, width, at: middle, anchor, texts, room, isOwn, isHidden }) {
  const side = anchor === "end" ? x - LABEL_GAP : x + width + LABEL_GAP;
  // On a ribbon of any colour a name has the colour of the text.
  const kind = isHidden ? "masked" : isOwn && anchor === "end" ? "own" : null;
  const top = middle + 4 - ((texts.length - 1) * LINE_HEIGHT) / 2;
  return texts.map((text, index) =>
    svgElement("text", { class: kind, x: side, y: top + index * LINE_HEIGHT, "text-anchor": anchor }, fitted(text, room, FONT)),
  );
}

function numberOf({ from, thickness, number }, { columns }) {
  if (!number || thickness < MIN_TEXT_THICKNESS) return [];
  return [svgElement("text", { x: columns.query + columns.bar + LABEL_GAP, y: from + thickness / 2 + 4 }, number)];
}

// Up and down to the other keys of a query, left and right to the same key of others.
function nextOf(key, from, ribbons) {
  const line = ribbons.filter(({ row }) => row === from.row);
  const across = ribbons.filter((ribbon) => ribbon.key === from.key);
  const step = (list, distance) => list[list.indexOf(from) + distance];
  const moves = {
    ArrowUp: () => step(line, -1),
    ArrowDown: () => step(line, 1),
    ArrowLeft: () => step(across, -1),
    ArrowRight: () => step(across, 1),
    Home: () => line[0],
    End: () => line.at(-1),
  };
  return Object.hasOwn(moves, key) ? moves[key]() : null;
}
