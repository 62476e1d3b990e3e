// Random queries and keys, and what attention makes of their first D features for growing D.
import { attend } from "../../reference/attend.js";
import { normals } from "../../reference/random.js";

export const SIZES = [4, 8, 16, 32, 64, 128, 256, 512, 1024];

export const DRAWS = 400;

export const MODELS = [
  { name: "dot_product", text: "q·k" },
  { name: "scaled_dot_product", text: "q·k / √D" },
];

const KEYS = 8;

const SEED = 6;

// So that a frame is not missed.
const BUDGET_MILLISECONDS = 8;

const MEASURES = ["largest", "sensitivity", "squares"];

// The first D features of a draw are a draw with D features.
const cut = ({ query, key }, size) => ({ query: [query.slice(0, size)], key: key.map((row) => row.slice(0, size)) });

function measure(draw, size, model) {
  const { scores, weights, diagnostics } = attend({
    ...cut(draw, size),
    score_model: { name: model },
    normalizer: { name: "softmax" },
  });
  return {
    largest: Math.max(...weights[0]),
    sensitivity: diagnostics[0].softmax_sensitivity,
    squares: scores[0].reduce((sum, score) => sum + score * score, 0) / KEYS,
  };
}

export function createDraws() {
  const next = normals(SEED);
  const row = () => Array.from({ length: SIZES.at(-1) }, next);
  const draw = () => ({ query: row(), key: Array.from({ length: KEYS }, row) });
  const first = draw();
  const sums = Object.fromEntries(MODELS.map(({ name }) => [name, SIZES.map((size) => measure(first, size, name))]));
  const largest = SIZES.map((_, index) => MODELS.map(({ name }) => sums[name][index].largest));
  let count = 1;

  function add() {
    const drawn = draw();
    for (const { name } of MODELS)
      SIZES.forEach((size, index) => {
        const found = measure(drawn, size, name);
        for (const part of MEASURES) sums[name][index][part] += found[part];
      });
    count += 1;
  }

  return {
    count: () => count,
    isComplete: () => count === DRAWS,
    advance() {
      const end = performance.now() + BUDGET_MILLISECONDS;
      while (count < DRAWS && performance.now() < end) add();
    },
    // For each score model and size the means over the draws, and the standard deviation of the scores about 0.
    means: () =>
      Object.fromEntries(
        MODELS.map(({ name }) => [
          name,
          sums[name].map((sum) => ({
            largest: sum.largest / count,
            sensitivity: sum.sensitivity / count,
            deviation: Math.sqrt(sum.squares / count),
          })),
        ]),
      ),
    first: (size) => cut(first, size),
    // The largest weight of the first draw for each score model.
    firstLargest: (index) => largest[index],
  };
}
