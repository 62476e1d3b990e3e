// The ten steps of the lesson.  A step is an object with
//   name       of its texts: title, text, question, said, and choice_0, choice_1, … where it has its own;
//   examples   ids of the worked examples that it takes its numbers from; it begins with the first;
//   begin      settings that it begins with, and reveal, those that the answer brings (see `settings.js`);
//   covered    parts of the page that would give the answer away, and are covered until there is one;
//   parts      the part of the page that is highlighted before the answer, and the one behind it (see `parts.js`);
//   choices    what there is to choose from: "key" or "value" for the names of these, a number of texts of its own, or
//              null, where a number is asked for;
//   right      the right choice or number, from the result on the page: right(now, before, state);
//   said       numbers and names in the text that explains the answer, from the same.
// `now` holds the numbers of the service, and `before` the weights of the first query when the question was answered.
import { largestIndex } from "../explain/decision.js";
import { sliceOf } from "../state/store.js";
import { nameOf } from "../words/names.js";
import { formatNumber } from "../words/numbers.js";

const TEAM = "honor-of-kings";

const SAME = 1e-9;

const RESULT = ["scores", "weights", "output", "explain", "view"];

export const STEPS = [
  {
    name: "attention",
    examples: [TEAM],
    covered: RESULT,
    parts: ["key", "weights"],
    choices: "key",
    right: ({ weights }) => largestIndex(weights[0]),
    said: ({ weights: [row] }, _, state) => ({ key: keyOf(state, largestIndex(row)), weight: Math.max(...row) }),
  },
  {
    name: "features",
    examples: [TEAM],
    reveal: { numbers: { key: [[0, 0, 0.1]] } },
    parts: ["key", "weights"],
    choices: 3,
    right: ({ weights: [[now]] }, [before]) => (Math.abs(now - before) < SAME ? 2 : now > before ? 0 : 1),
    said: ({ weights: [row] }, [before], state) => ({
      ...{ before, weight: row[0] },
      ...{ key: keyOf(state, largestIndex(row)), largest: Math.max(...row) },
    }),
  },
  {
    name: "score",
    examples: [TEAM],
    begin: { scoreModel: ["dot_product"], focus: { stage: "scores" } },
    covered: RESULT,
    parts: ["query", "terms"],
    choices: null,
    right: ({ scores }) => scores[0][0],
    said: ({ scores }, _, state) => ({
      sum: sumOf(sliceOf(state, "query")[0], sliceOf(state, "key")[0]),
      score: scores[0][0],
    }),
  },
  {
    name: "scale",
    examples: ["why-sqrt-d"],
    reveal: { scoreModel: ["scaled_dot_product"] },
    parts: ["weights", "weights"],
    choices: 3,
    right: ({ weights: [row] }) => [0.9, 0.5, 0].findIndex((least) => Math.max(...row) >= least),
    said: ({ weights: [row], diagnostics }, before) => ({
      ...{ before: Math.max(...before), weight: Math.max(...row) },
      sensitivity: diagnostics.softmax_sensitivity?.[0] ?? NaN,
    }),
  },
  {
    name: "normalizer",
    examples: ["seed-proportional"],
    reveal: { normalizer: ["softmax"] },
    parts: ["scores", "weights"],
    choices: 3,
    right: ({ weights: [[weight]] }) => nearest([0.7, 0.85, 1], weight),
    said: ({ weights: [[weight]], scores: [row] }) => ({ weight, difference: row[0] - row[1] }),
  },
  {
    name: "mask",
    examples: [TEAM],
    reveal: { hidden: [[0, 0]], focus: { key: 1 } },
    parts: ["mask", "weights"],
    choices: 3,
    right: ({ weights: [row] }, before) => redistribution(row.slice(1), before.slice(1)),
    said: ({ weights: [row] }, before, state) => {
      const key = largestIndex(row);
      return { hidden: row[0], key: keyOf(state, key), before: before[key], weight: row[key] };
    },
  },
  {
    name: "mix",
    examples: ["seed-mixing", TEAM],
    begin: { from: { value: 1 }, focus: { stage: "output" } },
    covered: ["output", "explain", "view"],
    parts: ["value", "output"],
    choices: null,
    right: ({ output }) => output[0][0],
    said: ({ weights: [row], output }, _, state) => ({
      sum: sumOf(row, columnOf(sliceOf(state, "value"), 0)),
      output: output[0][0],
    }),
  },
  {
    name: "query",
    examples: [TEAM, "honor-of-kings-dragon"],
    reveal: { from: { query: 1 }, focus: { key: 1 } },
    parts: ["query", "output"],
    choices: "value",
    right: ({ output }) => largestIndex(output[0]),
    said: ({ weights: [row], output }, _, state) => ({
      ...{ value: valueOf(state, largestIndex(output[0])), output: Math.max(...output[0]) },
      ...{ key: keyOf(state, largestIndex(row)), weight: Math.max(...row) },
    }),
  },
  {
    name: "function",
    examples: [TEAM],
    reveal: {
      scoreModel: ["expression", { formula: "-sum(abs(q - k))", parameters: null }],
      focus: { stage: "scores", key: 2 },
    },
    parts: ["score_model", "weights"],
    choices: "key",
    right: ({ weights: [row] }) => secondIndex(row),
    said: ({ weights: [row] }, before, state) => {
      const key = secondIndex(row);
      return { key: keyOf(state, key), before: before[key], weight: row[key] };
    },
  },
  {
    name: "temperature",
    examples: [TEAM],
    reveal: { normalizer: ["softmax", { temperature: 0.775 }], view: "table" },
    parts: ["normalizer", "view"],
    choices: 3,
    right({ weights: [[now]] }, [before], { normalizer: { parameters } }) {
      if (now <= before + SAME) return 2;
      return parameters.temperature < 1 ? 0 : 1;
    },
    said: ({ weights: [[weight]], output: [row] }, _, state) => ({
      ...{ temperature: state.normalizer.parameters.temperature ?? 1, weight },
      ...{ value: valueOf(state, largestIndex(row)), output: Math.max(...row) },
      ...{ next: valueOf(state, secondIndex(row)), second: row[secondIndex(row)] },
    }),
  },
];

const keyOf = (state, index) => nameOf(state, "key", index);

const valueOf = (state, index) => nameOf(state, "value", index);

const columnOf = (rows, column) => rows.map((row) => row[column]);

const enclosed = (number) => (number < 0 ? `(${formatNumber(number)})` : formatNumber(number));

const sumOf = (one, other) => one.map((each, index) => `${enclosed(each)} × ${enclosed(other[index])}`).join(" + ");

function secondIndex(row) {
  const first = largestIndex(row);
  return largestIndex(row.map((each, index) => (index === first ? -Infinity : each)));
}

const nearest = (numbers, wanted) =>
  numbers.reduce((best, each, index) => (Math.abs(each - wanted) < Math.abs(numbers[best] - wanted) ? index : best), 0);

// What the other keys have got of the weight that was taken away: 0 nothing, 1 equal parts, 2 parts in proportion.
function redistribution(now, before) {
  const gains = now.map((weight, index) => weight - before[index]);
  const isSame = (numbers) => numbers.every((each) => Math.abs(each - numbers[0]) < SAME);
  if (gains.every((gain) => Math.abs(gain) < SAME)) return 0;
  return isSame(gains) ? 1 : 2;
}
