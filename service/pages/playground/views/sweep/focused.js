// The curves of the focused row: its weights, and how they are spread, against one parameter.
import { readAnswer } from "../../asking/request.js";
import { createConfirming } from "../../asking/confirming.js";
import { wordsOf } from "../../explain/panel.js";
import { element, setText } from "../../page/dom.js";
import { language, t } from "../../words/i18n.js";
import { namesOf } from "../../words/names.js";
import { decimalsOf, formatNumber } from "../../words/numbers.js";
import { curvesOf, DIAGNOSTICS, pointOf, rowOf, strongest } from "./curves.js";
import { isWithin } from "./axes.js";
import { LOOKS } from "./plot.js";
import { createStack } from "./stack.js";
import { tableOf } from "./values.js";

const ENDS = [0.1, 0.2, 0.5, 1];

const HEIGHTS = [190, 64, 64, 64];

// Curves that take longer wait until a drag comes to rest.
const MAX_MILLISECONDS = 8;

export function createFocused({ edit, change, hold, release }) {
  const help = element("p", { class: "help" });
  const reset = element("button", { type: "button", class: "tool" });
  const says = element("p", { class: "says" });
  const outside = element("p", { class: "help" });
  const table = element("div", { class: "scroller", tabindex: "0", role: "region" });
  const stack = createStack({ heights: HEIGHTS, step, release });
  const root = element("div", {}, help, stack.root, element("div", { class: "says-line" }, says, reset), outside, table);
  let now = null;
  let drawn = { parts: [], curves: null };
  let confirmed = { question: null, numbers: null };

  const confirming = createConfirming({
    answered(bodies, question) {
      confirmed = { question, numbers: bodies && rowOf(readAnswer(bodies[0]), 0) };
      if (root.isConnected) point();
    },
  });

  reset.addEventListener("click", () => set(null));

  // The default is written by leaving the parameter out.
  function step(at) {
    const { axis, standard } = now.sweep;
    if (at === Math.round(axis.stepOf(now.sweep.value))) return;
    const isStandard = at === Math.round(axis.stepOf(standard));
    hold();
    set(isStandard ? null : axis.valueAt(at));
  }

  function set(value) {
    const { name, choice } = now.sweep;
    if (choice === null) change((options) => Object.assign(options, { features: value }));
    else
      edit((draft) => {
        draft[choice].parameters[name] = value;
      });
  }

  function draw() {
    const { sweep, view, shown, request } = now;
    const parts = partsOf(sweep, view);
    if (parts.every((part, index) => part === drawn.parts[index])) return;
    const keys = request.key.length;
    const isSame = drawn.curves && drawn.name === sweep.name && drawn.keys === keys;
    if (shown.isPreview && isSame && drawn.cost > MAX_MILLISECONDS) return;
    const start = performance.now();
    const curves = curvesOf(sweep);
    const weights = curves.points.filter(Boolean).map((each) => each.weights);
    drawn = { parts, name: sweep.name, keys, curves, named: strongest(weights, LOOKS) };
    const content = contentOf(now, drawn, weights);
    drawn.order = content.figures[0].lines.map(({ key }) => key);
    stack.draw(content);
    drawn.cost = performance.now() - start;
  }

  function point() {
    const { sweep, view, shown } = now;
    const browser = pointOf(sweep.requestAt(sweep.value));
    const isShown = sweep.choice !== null || sweep.value === sweep.standard;
    const service = isShown ? (shown.isPreview ? null : rowOf(shown.numbers, view.focus.row)) : ask(now);
    const at = sweep.axis.stepOf(sweep.value);
    const written = valueText(sweep);
    setText(says, saysOf(now, browser, written));
    setText(outside, isWithin(sweep.axis, at) ? "" : t("sweep.outside", { value: written }));
    setText(reset, t("sweep.reset"));
    reset.disabled = sweep.value === sweep.standard;
    stack.point({
      step: at,
      text: says.textContent,
      figures: [
        { values: drawn.order.map((key) => browser?.weights[key]), number: "" },
        ...DIAGNOSTICS.map((name) => {
          const value = browser?.[name] ?? NaN;
          return { values: [value], number: Number.isFinite(value) ? formatNumber(value) : "–" };
        }),
      ],
    });
    const caption = t("sweep.caption", { parameter: symbolOf(sweep.name), value: written });
    table.setAttribute("aria-label", caption);
    table.replaceChildren(tableOf({ caption, view, named: drawn.named, browser, service }));
  }

  // What the page has not asked for: fewer features than there are.
  function ask({ sweep, shown }) {
    const asked = sweep.requestAt(sweep.value);
    const question = JSON.stringify(asked);
    if (!shown.isPreview) confirming.ask([{ ...asked, include: ["weights", "diagnostics"] }], question);
    return confirmed.question === question ? confirmed.numbers : null;
  }

  return {
    root,
    update(next) {
      now = next;
      setText(help, t(`sweep.${next.sweep.name}_help`));
      draw();
      point();
    },
  };
}

// What the curves depend on: everything but the value at the cursor.
function partsOf({ name, choice, axis }, view) {
  const { scoreModel, normalizer } = view;
  const choices = { scoreModel, normalizer };
  if (choice) choices[choice] = { ...view[choice], parameters: { ...view[choice].parameters, [name]: null } };
  const ends = [axis.valueAt(1), axis.valueAt(axis.steps)];
  return [
    ...[view.query, view.key, view.batch, view.mask, view.further, view.focus.row],
    JSON.stringify([name, choices, ends, view.names, language()]),
  ];
}

export const titleOf = (name) => t(name === "features" ? "sweep.features" : `parameter.${name}`);

// As it is written before an equals sign.
const symbolOf = (name) => (name === "features" ? "D" : titleOf(name));

const valueText = ({ value }) => (value === null ? t("parameter.none") : formatNumber(value, 4));

function saysOf({ sweep, view, request }, browser, value) {
  const parameter = symbolOf(sweep.name);
  const largest = Math.max(...(browser?.weights ?? [0]));
  const query = namesOf(view, "query", view.focus.row + 1).at(-1);
  if (!(largest > 0)) return t("sweep.says_none", { parameter, value, query });
  const key = namesOf(view, "key", request.key.length)[browser.weights.indexOf(largest)];
  const number = formatNumber(largest, 4, { fixed: true });
  return t("sweep.says", { parameter, value, query, key, number });
}

function contentOf({ sweep, view, request }, { curves, named }, weights) {
  const { axis, standard } = sweep;
  const keys = request.key.length;
  const names = namesOf(view, "key", keys);
  const query = namesOf(view, "query", view.focus.row + 1).at(-1);
  const about = { query, parameter: titleOf(sweep.name) };
  const lines = names.map((name, key) => {
    const look = named.indexOf(key);
    const values = curves.points.map((each) => each?.weights[key] ?? NaN);
    return look < 0 ? { name: null, look: null, values } : { name, look, values };
  });
  // The lines with names are drawn over the others.
  const ordered = lines.map((line, key) => ({ ...line, key })).sort((one, other) => (one.look ?? -1) - (other.look ?? -1));
  const limits = { entropy: Math.log(keys), effective_keys: keys, softmax_sensitivity: 1 };
  return {
    axis,
    steps: curves.steps,
    label: about.parameter,
    mark: isWithin(axis, axis.stepOf(standard)) ? axis.stepOf(standard) : null,
    figures: [
      { title: t("stage.weights"), label: t("sweep.figure", { ...about, what: t("stage.weights") }), y: weightsAxis(weights), lines: ordered },
      ...DIAGNOSTICS.map((name) => {
        const values = curves.points.map((each) => each?.[name] ?? NaN);
        const what = t(`diagnostics.${wordsOf(name, view)}`);
        return {
          title: what,
          label: t("sweep.figure", { ...about, what }),
          isEmpty: !values.some(Number.isFinite),
          y: axisTo(0, limits[name] || 1),
          lines: [{ name: null, look: 0, values }],
        };
      }),
    ],
  };
}

// Shares are shown from 0 to 1, or to a round number that the largest of many stays below; other weights as far as they
// reach.
function weightsAxis(weights) {
  const all = weights.flat().filter(Number.isFinite);
  const [low, high] = all.reduce(([least, most], weight) => [Math.min(least, weight), Math.max(most, weight)], [0, 0]);
  const end = ENDS.find((each) => high <= each + 1e-9);
  if (low >= -1e-9 && end) return { low: 0, high: end, ticks: ticksOf([0, end / 2, end]) };
  return { low, high, ticks: ticksOf(low < 0 ? [low, 0, high] : [0, high]) };
}

const axisTo = (low, high) => ({ low, high, ticks: ticksOf([low, high]) });

function ticksOf(values) {
  const decimals = decimalsOf(values, 2);
  return values.map((value) => ({ value, text: formatNumber(value, decimals) }));
}
