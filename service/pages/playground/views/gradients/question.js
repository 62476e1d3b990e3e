// What the slopes of the view are slopes of, what the service is asked about them, and what the browser finds itself.
import { readMatrix, requestOf, tensorsOf } from "../../asking/request.js";
import { jacobianOf, slopesOf } from "../../reference/slopes.js";

const identity = (size) =>
  Array.from({ length: size }, (_, row) => Array.from({ length: size }, (__, column) => Number(row === column)));

const oneHot = (rows, columns, row, column) =>
  Array.from({ length: rows }, (_, at) =>
    Array.from({ length: columns }, (__, to) => Number(at === row && to === column)),
  );

// The number in focus: an element of the output, or else the weight of a key.
export function targetOf({ view: { focus }, numbers }) {
  const isOutput = focus.stage === "output" && Boolean(numbers.output);
  return { isOutput, row: focus.row, column: isOutput ? focus.column : focus.key };
}

// Two requests to /v1/attention/gradients.  Where the value is the identity, the output is the weights; and with keys of
// one feature, each key is a logit.  One slice for each weight then gives the whole Jacobian.  Keys are all there are: the
// offset says where queries stand behind a cache.
export function questionsOf({ state, numbers }, { isOutput, row, column }) {
  const { include, top_k: top, memory, dtype, past_key: past, past_value: pastValue, ...settings } = requestOf(state);
  const { key, value } = tensorsOf(state);
  const [queries, keys] = [numbers.weights.length, key.length];
  const request = { ...settings, key, value: isOutput ? value : identity(keys) };
  const upstream = oneHot(queries, request.value[0].length, row, column);
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
export function readAnswers([{ gradients }, { gradients: all }], { row }) {
  return {
    jacobian: all.key.map((slice) => readMatrix(slice).map(([slope]) => slope)),
    query: [readMatrix(gradients.query)[row]],
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
