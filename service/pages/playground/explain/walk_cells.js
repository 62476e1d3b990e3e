// The stops of a walk through a calculation, and the cells that each is about.
import { sizesOf } from "../state/store.js";

const MAX_SINGLE_TERMS = 8;

const FEATURE = /^(?:(query|key) )?(?:feature|product) (\d+)$/;

const PAIR = ["query", "key"];

// The cells of steps by their names; a step of another name is about the score.
const CELLS = {
  rotary: PAIR,
  "formula part": PAIR,
  sum: PAIR,
  modified: ["scores", "mask"],
  "mask formula": ["mask"],
  mask: ["mask"],
  logit: ["scores", "mask"],
  maximum: ["scores row"],
  denominator: ["scores row"],
  threshold: ["scores row"],
  weight: ["scores", "weights"],
  contribution: ["weights", "value", "output row"],
};

// Each stop is {selector, cells}: the line of the explanation that it is about, and areas of cells.
export function stopsOf(explanation, state) {
  if (state.focus.stage === "output") return [{ selector: "#explain-steps .mix", cells: mixOf(state.focus) }];
  if (!Array.isArray(explanation?.steps)) return [];
  const steps = explanation.steps.map(stepStop(state.focus));
  // What the terms are made of comes before them, and their sum behind them.
  const sum = Math.max(0, explanation.steps.findIndex(({ name }) => name === "sum"));
  return [...steps.slice(0, sum), ...termStops(explanation.terms ?? [], state.focus), ...steps.slice(sum)];
}

function termStops(terms, focus) {
  if (terms.length > MAX_SINGLE_TERMS) return [{ selector: "#explain-terms", cells: areasOf(PAIR, focus) }];
  return terms.map(({ name }, index) => {
    const [, side, feature] = FEATURE.exec(name) ?? [];
    const sides = side ? [side] : PAIR;
    const cells = feature ? sides.map((each) => featureOf(each, Number(feature), focus)) : areasOf(PAIR, focus);
    return { selector: `#explain-terms tbody tr:nth-child(${index + 1})`, cells };
  });
}

const stepStop = (focus) => ({ name }, index) => ({
  selector: `#explain-steps [data-step]:nth-child(${index + 1})`,
  cells: areasOf(Object.hasOwn(CELLS, name) ? CELLS[name] : ["scores"], focus),
});

const featureOf = (tensor, column, { row, key }) => ({ place: tensor, row: tensor === "query" ? row : key, column });

// An area without a row or column has all of them.
const areasOf = (names, focus) => names.map((name) => areaOf(name, focus));

function areaOf(name, { row, key }) {
  const [place, whole] = name.split(" ");
  if (place === "query") return { place, row };
  if (place === "key" || place === "value") return { place, row: key };
  return whole ? { place, row } : { place, row, column: key };
}

const mixOf = ({ row, column }) => [
  { place: "weights", row },
  { place: "value", column },
  { place: "output", row, column },
];

// The cell before or behind the focus: the keys of a query, then its outputs, then the next query; null at the ends.
export function neighbourOf(state, by) {
  const { stage, row, key, column } = state.focus;
  const { queries, keys, valueFeatures } = sizesOf(state);
  const each = keys + (state.value ? valueFeatures : 0);
  const next = row * each + (stage === "output" ? keys + column : key) + by;
  if (next < 0 || next >= queries * each) return null;
  const [to, at] = [Math.floor(next / each), next % each];
  if (at >= keys) return { stage: "output", row: to, column: at - keys };
  return { stage: stage === "output" ? "weights" : stage, row: to, column: at };
}

const TENSORS = ["query", "key", "value"];

// The elements of an area, of those that the page shows.
export function elementsOf({ place, row, column }) {
  const root = TENSORS.includes(place) ? `#tensor-${place}` : `table[data-stage="${place}"]`;
  const at = `${row === undefined ? "" : `[data-row="${row}"]`}${column === undefined ? "" : `[data-column="${column}"]`}`;
  const found = [...document.querySelectorAll(`${root} :is(td, input)${at}[data-row]`)];
  return found.map((each) => each.closest("td"));
}
