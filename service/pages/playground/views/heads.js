// All heads and batch rows as small multiples: which of them looks where, and how sharply.
import { numberOf } from "../asking/request.js";
import { drawCells, pixelsOf } from "../maps/raster.js";
import { createLegend } from "../maps/legend.js";
import { element, setAttributes, setText } from "../page/dom.js";
import { leadingOf } from "../state/slices.js";
import { t } from "../words/i18n.js";
import { shortNameOfSlice } from "../words/slices.js";
import { twelveHeads } from "./heads/example.js";
import { createSelect } from "./select.js";

const ORDERS = ["given", "sharp", "flat", "apart"];

const SCALES = ["fixed", "own", "log"];

const DECADES = 4;

// The width of a picture that is not laid out yet, in CSS pixels.
const USUAL_WIDTH = 64;

const KEYS = { ArrowRight: () => 1, ArrowLeft: () => -1, ArrowDown: (columns) => columns, ArrowUp: (columns) => -columns };

export const heads = {
  name: "heads",
  options: () => ({ order: "given", scale: "fixed" }),
  readOptions({ order, scale }, expect) {
    expect(ORDERS.includes(order) && SCALES.includes(scale), "heads");
    return { order, scale };
  },
  create({ root, theme, change, load, chooseBatch, showMaps }) {
    const order = createSelect("heads", "order", ORDERS, (value) => change((options) => (options.order = value)));
    const scale = createSelect("heads", "scale", SCALES, (value) => change((options) => (options.scale = value)));
    const legend = createLegend("weights");
    const note = element("p", { class: "hint" });
    const list = element("ul", { class: "heads-list", role: "list" });
    const example = element("button", { type: "button", class: "heads-example" });
    example.addEventListener("click", () => load(twelveHeads(), "heads.loaded"));
    root.append(element("div", { class: "heads-tools" }, order.root, scale.root, example), legend.root, list, note);
    const cards = createCards(list, (slice) => {
      chooseBatch(slice);
      showMaps();
    });
    let known = null;
    let drawn = [];

    return {
      update({ state, options, shown: { numbers, state: asked, view } }) {
        if (numbers.body && numbers.body !== known?.body) known = { body: numbers.body, slices: slicesOf(numbers.body) };
        // The browser is ahead of the first answer.
        if (!known) return;
        const slices = withCurrent(known.slices, numbers, asked.batch);
        const isShares = slices.every(({ entropy }) => entropy !== null);
        order.update(options.order, isShares ? ORDERS : ["given", "apart"]);
        scale.update(options.scale, SCALES);
        setText(example, t("heads.example"));
        const { rows, heads: perRow } = leadingOf(asked);
        setText(note, t(slices.length > 1 ? "heads.hint" : "heads.single", { rows, heads: perRow }));
        const next = [numbers, known, theme.current(), options, state.language, asked.batch];
        if (next.every((part, index) => part === drawn[index])) return;
        drawn = next;
        const kind = kindOf(slices);
        legend.update({ kind, largest: largestOf(slices), outside: kind !== "sequential" }, theme.current());
        legend.root.hidden = options.scale !== "fixed";
        const about = { chosen: asked.batch, order: options.order, kind, scale: options.scale, theme: theme.current(), view };
        cards.update(ordered(slices, options.order, asked.batch), about);
      },
    };
  },
};

// Every slice of the answer, in the order in which the page counts them.
function slicesOf({ weights, logits, diagnostics }) {
  const flat = (nested, rank) => {
    let slices = [nested];
    while (depthOf(slices[0]) > rank) slices = slices.flat();
    return slices;
  };
  const all = flat(weights, 2);
  const masks = flat(logits, 2);
  const of = (name) => (diagnostics?.[name] ? flat(diagnostics[name], 1) : null);
  const [entropies, keys] = [of("entropy"), of("effective_keys")];
  return all.map((rows, index) => ({
    index,
    weights: rows,
    logits: masks[index],
    entropy: meanOf(entropies?.[index]),
    keys: meanOf(keys?.[index]),
  }));
}

const depthOf = (nested) => (Array.isArray(nested) ? 1 + depthOf(nested[0]) : 0);

function meanOf(rows) {
  if (!rows) return null;
  return rows.reduce((sum, row) => sum + numberOf(row), 0) / rows.length;
}

// While a number is dragged the slice on the screen is ahead of the answer.
function withCurrent(slices, { body, weights, logits, diagnostics }, batch) {
  const { weights: held } = slices[batch] ?? {};
  if (body || held?.length !== weights.length || held[0].length !== weights[0].length) return slices;
  const { entropy, effective_keys: keys } = diagnostics;
  const current = { index: batch, weights, logits, entropy: meanOf(entropy), keys: meanOf(keys) };
  return slices.map((slice) => (slice.index === batch ? current : slice));
}

// How far the weights of two slices are apart: half the sum of |Δ| in a row, averaged over rows.
function distance(one, other) {
  const rows = one.weights.map((row, i) =>
    row.reduce((sum, weight, j) => sum + Math.abs(numberOf(weight) - numberOf(other.weights[i][j])), 0),
  );
  return rows.reduce((sum, row) => sum + row, 0) / (2 * rows.length);
}

function ordered(slices, order, chosen) {
  const withDistance = slices.map((slice) => ({ ...slice, apart: distance(slice, slices[chosen] ?? slices[0]) }));
  const by = {
    given: () => 0,
    sharp: (one, other) => one.entropy - other.entropy,
    flat: (one, other) => other.entropy - one.entropy,
    apart: (one, other) => other.apart - one.apart,
  };
  return withDistance.sort(by[order]);
}

const values = (slices) => slices.flatMap(({ weights }) => weights.flat().map(numberOf));

const largestOf = (slices) =>
  values(slices).reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0) || 1;

const kindOf = (slices) =>
  values(slices).some((weight) => weight < -1e-9 || weight > 1 + 1e-9) ? "diverging" : "sequential";

// From a weight to its share of the colours.
function shareOf({ kind, scale }, largest) {
  if (scale === "own") return (weight) => weight / largest;
  if (scale === "fixed") return (weight) => (kind === "sequential" ? weight : weight / largest);
  return (weight) => Math.sign(weight) * Math.max(0, 1 + Math.log10(Math.abs(weight) / largest) / DECADES);
}

function createCards(list, choose) {
  let buttons = [];
  list.addEventListener("keydown", (event) => {
    if (!Object.hasOwn(KEYS, event.key) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const columns = buttons.filter(({ offsetTop }) => offsetTop === buttons[0].offsetTop).length;
    const next = buttons[buttons.indexOf(document.activeElement) + KEYS[event.key](columns)];
    if (!next) return;
    stopAt(next);
    next.focus();
  });

  function stopAt(target) {
    for (const button of buttons) button.tabIndex = button === target ? 0 : -1;
  }

  function createCard() {
    const canvas = element("canvas", { "aria-hidden": "true" });
    const [name, measure] = [element("b"), element("small")];
    const button = element("button", { type: "button" }, canvas, name, measure);
    button.addEventListener("click", () => choose(Number(button.dataset.slice)));
    list.append(element("li", {}, button));
    return button;
  }

  return {
    update(slices, about) {
      while (buttons.length > slices.length) buttons.pop().parentElement.remove();
      while (buttons.length < slices.length) buttons.push(createCard());
      const largest = largestOf(slices);
      slices.forEach((slice, place) => paint(buttons[place], slice, about, largest));
      if (!list.contains(document.activeElement))
        stopAt(buttons[slices.findIndex(({ index }) => index === about.chosen)] ?? buttons[0]);
    },
  };
}

function paint(button, slice, { chosen, order, kind, scale, theme, view }, largest) {
  const [canvas, name, measure] = button.children;
  const { index, weights, logits, entropy, keys, apart } = slice;
  const [rows, columns] = [weights.length, weights[0].length];
  const pixel = pixelsOf(kind, theme);
  const share = shareOf({ kind, scale }, scale === "fixed" ? largest : largestOf([slice]));
  const width = (canvas.clientWidth || USUAL_WIDTH) * devicePixelRatio;
  canvas.classList.toggle("reduced", width < columns);
  drawCells(canvas, {
    rows,
    columns,
    size: Math.max(1, Math.round(width / columns)),
    theme,
    pixelAt: (row, column) => (isHidden(logits[row][column]) ? null : pixel(share(numberOf(weights[row][column])))),
  });
  setAttributes(button, { "data-slice": index, "aria-current": index === chosen ? "true" : null });
  setText(name, shortNameOfSlice(view, index));
  const lines = [t("heads.apart", { apart: apart.toFixed(2) })];
  if (entropy !== null && order !== "apart") {
    lines[0] = t("heads.entropy", { entropy: entropy.toFixed(2) });
    lines.push(t("heads.keys", { keys: keys.toFixed(1) }));
  }
  measure.replaceChildren(...lines.map((line) => element("span", {}, line)));
}

// null is minus infinity in an answer.
const isHidden = (logit) => logit === null || logit === -Infinity;
