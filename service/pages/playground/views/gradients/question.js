// What the slopes of the view are slopes of, what the service is asked about them, and what the browser finds itself.
import { isAskedWhole, maskOf, readMatrix, requestOf, rowOf, tensorsOf } from "../../asking/request.js";
import { jacobianOf, slopesOf } from "../../reference/slopes.js";
import { indexAmongSlices, leadingAxesOf } from "../../state/slices.js";
import { scoreAxesOf, scoreIndexOf } from "../../state/used_memory.js";

const identity = (size) =>
  Array.from({ length: size }, (_, row) => Array.from({ length: size }, (__, column) => Number(row === column)));

// A tensor of zeros with a one at `index`.
const oneHot = ([size, ...rest], [at, ...inner], isOn = true) =>
  Array.from({ length: size }, (_, each) =>
    rest.length ? oneHot(rest, inner, isOn && each === at) : Number(isOn && each === at),
  );

// The same matrix along all leading axes.
const repeated = (axes, matrix) => axes.reduceRight((part, size) => Array(size).fill(part), matrix);

// The leading axes of the question, and where the slice on the screen stands among them: formulas and their parameters may
// read which batch row and head that is.
function placeOf(state) {
  if (state.memory) return { axes: scoreAxesOf(state), index: scoreIndexOf(state) };
  if (isAskedWhole(state)) return { axes: leadingAxesOf(state), index: indexAmongSlices(state, state.batch) };
  return { axes: [], index: [] };
}

// The numbers of the slice stand at each place; the upstream gradient is that of one place alone.
function placed(state, query, axes) {
  if (!axes.length) return {};
  const mask = maskOf(state, Array(axes[0]).fill(rowOf(state)));
  return { query: repeated(axes, query), ...(mask ? { mask } : {}) };
}

// The number in focus: an element of the output, or else the weight of a key; `axes` and `index` say where its slice stands.
export function targetOf({ state, view: { focus }, numbers }) {
  const isOutput = focus.stage === "output" && Boolean(numbers.output);
  return { isOutput, row: focus.row, column: isOutput ? focus.column : focus.key, ...placeOf(state) };
}

// Two requests to /v1/attention/gradients.  Where the value is the identity, the output is the weights; and with keys of
// one feature, each key is a logit.  One slice for each weight then gives the whole Jacobian.  Keys are all there are: the
// offset says where queries stand behind a cache.
export function questionsOf({ state, numbers }, { isOutput, row, column, axes, index }) {
  const { include, top_k: top, memory, dtype, past_key: past, past_value: pastValue, ...settings } = requestOf(state);
  const { key, value } = tensorsOf(state);
  const [queries, keys] = [numbers.weights.length, key.length];
  const request = { ...settings, ...placed(state, settings.query, axes), key, value: isOutput ? value : identity(keys) };
  const upstream = oneHot([...axes, queries, request.value[0].length], [...index, row, column]);
  const logits = numbers.logits[row];
  const jacobian = {
    query: logits.map(() => [[1]]),
    key: logits.map(() => logits.map((logit) => [logit === -Infinity ? 0 : logit])),
    value: identity(keys),
    score_model: "dot_product",
    normalizer: settings.normalizer,
    mask: { allowed: [logits.map((logit) => logit !== -Infinity)] },
  };
  return [
    { request, output_gradient: upstream, include: isOutput ? ["query", "key", "value"] : ["query", "key"] },
    { request: jacobian, output_gradient: identity(keys).map((line) => [line]), include: ["key"] },
  ];
}

// {jacobian, query, key, value} of two answers: matrices, of the query its one row.
export function readAnswers([{ gradients }, { gradients: all }], { row, index }) {
  const query = index.reduce((part, at) => part[at], gradients.query);
  return {
    jacobian: all.key.map((slice) => readMatrix(slice).map(([slope]) => slope)),
    query: [readMatrix(query)[row]],
    key: readMatrix(gradients.key),
    value: gradients.value ? readMatrix(gradients.value) : null,
  };
}

// The slopes of scores that are neither changed, capped nor turned, in float64.
const canRead = ({ score_modifier: modifier, softcap, position, dtype }) =>
  !modifier && !softcap && position?.name !== "rotary" && (dtype ?? "float64") === "float64";

// The same of the browser; what it cannot know is null.
export function ownSlopes({ state, request, numbers }, { isOutput, row, column }) {
  const [logits, weights] = [numbers.logits[row], numbers.weights[row]];
  const jacobian = jacobianOf(request.normalizer, logits, weights);
  const { key, value } = tensorsOf(state);
  const upstream = key.map((_, at) => (isOutput ? value[at][column] : Number(at === column)));
  const isReadable = jacobian && canRead(request);
  const slopes = isReadable && slopesOf({ ...request, query: request.query[row], key }, jacobian, upstream);
  const byValue = isOutput ? value.map((line, at) => line.map((_, to) => (to === column ? weights[at] : 0))) : null;
  return { jacobian, query: slopes?.query ?? null, key: slopes?.key ?? null, value: byValue };
}

// The largest difference of what both have, and the largest slope, which it is measured by; null if they share nothing.
export function differenceOf(own, answered) {
  const shared = Object.keys(answered).filter((name) => own[name] && answered[name]);
  if (!own.jacobian || !own.query) return null;
  const pairs = shared.flatMap((name) => {
    const other = answered[name].flat();
    return own[name].flat().map((slope, index) => [slope, other[index]]);
  });
  const largest = (sizes) => sizes.reduce((most, size) => (size > most || Number.isNaN(size) ? size : most), 0);
  return {
    difference: largest(pairs.map(([one, other]) => Math.abs(one - other))),
    size: largest(pairs.map(([one]) => Math.abs(one))),
  };
}
