// What can be swept: parameters of the score model and of the normalizer, and the number of features.
import { cellMaskOf, positionsOf } from "../../asking/request.js";
import { numbersOf } from "../../asking/preview.js";
import { parametersOf } from "../../inputs/parameters.js";
import { TEMPERATURES } from "../../inputs/temperature.js";
import { isVisible } from "../../reference/visibility.js";
import { fitParameters } from "../../state/defaults.js";
import { advancedOf } from "../../state/further.js";
import { sliceOf } from "../../state/store.js";
import { linear, listed, logarithmic } from "./axes.js";

const REACH = 10;

const FEATURES = "features";

const BANDWIDTHS = { lowest: 0.05, highest: 100 };

const SCALES = { lowest: 0.01, highest: 10 };

// For each parameter its member of the state, its axis, and the value that it has where it is left out.
const SWEPT = {
  temperature: { choice: "normalizer", axis: () => logarithmic(TEMPERATURES.lowest, TEMPERATURES.highest), standard: () => 1 },
  scale: {
    choice: "scoreModel",
    axis: () => logarithmic(SCALES.lowest, SCALES.highest),
    standard: ({ query: [query], score_model: { name } }) => (name === "cosine" ? 1 : 1 / Math.sqrt(query.length)),
  },
  bandwidth: { choice: "scoreModel", axis: () => logarithmic(BANDWIDTHS.lowest, BANDWIDTHS.highest), standard: () => 1 },
  sink: { choice: "normalizer", axis: around, standard: () => null },
  alpha: { choice: "normalizer", axis: () => linear(1, 5), standard: () => 1.5 },
  bias: { choice: "normalizer", axis: () => linear(-REACH, REACH), standard: () => 0 },
};

export const PARAMETERS = [...Object.keys(SWEPT), FEATURES];

const WIRE = { normalizer: "normalizer", scoreModel: "score_model" };

// A sink weighs against the largest logit, so that its axis reaches as far.
function around({ logits, normalizer }) {
  const largest = logits.reduce((most, logit) => (Number.isFinite(logit) ? Math.max(most, logit) : most), -Infinity);
  const centre = Number.isFinite(largest) ? 5 * Math.round(largest / (normalizer.temperature ?? 1) / 5) : 0;
  return linear(Math.min(-REACH, centre - REACH), Math.max(REACH, centre + REACH), { hasNone: true });
}

// One row of the result as a request of its own, which any mask that is no formula leaves its visible keys.
export function rowRequestOf(view, { request }, row) {
  const [mask, positions] = [cellMaskOf(view), positionsOf(view)];
  const key = sliceOf(view, "key");
  const allowed = key.map((_, index) => isVisible(mask, row, index, positions));
  return {
    query: [request.query[row]],
    key,
    score_model: request.score_model,
    normalizer: request.normalizer,
    ...(allowed.every(Boolean) ? {} : { mask: { key_allowed: allowed } }),
  };
}

// The curves know none of the advanced fields: with one of them they would be those of another calculation.
export const isKnown = (request, whole) =>
  !whole.score_modifier && !whole.mask?.formula && !advancedOf(whole).length && numbersOf(request) !== null;

// The sweeps that the row has.  Each has a name, an axis, its present value, the value that it has by default, and
// `requestAt`, the request of the row with another value.
export function sweepsOf(view, shown, request, catalogue, features) {
  const entries = {
    normalizer: catalogue.normalizers.find(({ name }) => name === view.normalizer.name),
    scoreModel: catalogue.scoreModels.find(({ name }) => name === view.scoreModel.name),
  };
  const logits = shown.numbers.logits[view.focus.row];
  const offered = Object.entries(SWEPT).filter(([name, { choice }]) =>
    parametersOf(entries[choice]).some((parameter) => parameter.name === name),
  );
  const found = offered.map(([name, { choice, axis, standard }]) => {
    const given = view[choice].parameters[name];
    const byDefault = standard(request);
    return {
      name,
      choice,
      axis: axis({ logits, normalizer: request.normalizer }),
      standard: byDefault,
      value: given ?? byDefault,
      requestAt: (value) => withMember(request, WIRE[choice], name, value),
    };
  });
  const size = request.query[0].length;
  return size > 1 && request.key[0].length === size ? [...found, featuresOf(request, entries.scoreModel, features)] : found;
}

function withMember(request, member, name, value) {
  const { [name]: _, ...others } = request[member];
  return { ...request, [member]: value === null ? others : { ...others, [name]: value } };
}

// The first features alone, in queries, keys and the tensors of the score model.
function featuresOf(request, entry, features) {
  const size = request.query[0].length;
  const { name, ...parameters } = request.score_model;
  return {
    name: FEATURES,
    choice: null,
    axis: listed(Array.from({ length: size }, (_, index) => index + 1)),
    standard: size,
    value: Math.min(features ?? size, size),
    requestAt(count) {
      if (count === size) return request;
      const [query, key] = [request.query, request.key].map((matrix) => matrix.map((row) => row.slice(0, count)));
      const state = { query: [query], key: [key], value: null, memory: null, batch: 0 };
      const fitting = Object.entries(fitParameters(entry, parameters, state)).filter(([, value]) => value !== undefined);
      return { ...request, query, key, score_model: { name, ...Object.fromEntries(fitting) } };
    },
  };
}
