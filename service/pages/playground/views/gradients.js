// The slopes of the number in focus, and how much of them the normalizer lets through.
import { createGradientsAsking } from "../asking/slopes.js";
import { element, setAttributes, setText } from "../page/dom.js";
import { NORMALIZERS } from "../reference/attend.js";
import { jacobianOf, mostOf } from "../reference/slopes.js";
import { has, t } from "../words/i18n.js";
import { namesOf } from "../words/names.js";
import { formatDifference } from "../words/numbers.js";
import { createGauge } from "./gradients/gauge.js";
import { createSlopes } from "./gradients/map.js";
import { differenceOf, ownSlopes, questionsOf, readAnswers, targetOf } from "./gradients/question.js";

const MAPS = ["jacobian", "query", "key", "value"];

// Differences of the scores are taken over finite steps.
const TOLERANCE = 1e-7;

export const gradients = { name: "gradients", options: () => ({}), readOptions: () => ({}), create };

// In the place of a question: the service has no answer to it.
const NO_SLOPE = "no slope";

// A normalizer that the page has never heard of may have a slope.
const hasSlope = ({ request: { normalizer }, numbers: { logits, weights } }) =>
  !(normalizer.name in NORMALIZERS) || jacobianOf(normalizer, logits[0], weights[0]) !== null;

function create({ root, theme }) {
  const target = element("p", { class: "target" });
  const gauge = createGauge();
  const problem = element("p", { class: "refused", role: "status" });
  const maps = Object.fromEntries(MAPS.map((name) => [name, createSlopes(name)]));
  const found = element("p", { class: "verification" });
  const grid = element("div", { class: "slope-maps" }, ...MAPS.map((name) => maps[name].root));
  root.append(target, gauge.root, problem, grid, found);
  let latest = null;
  let asked = null;
  let answer = null;
  let refusal = null;
  let painted = "";

  const asking = createGradientsAsking({
    answered(answers, key) {
      answer = { key, slopes: readAnswers(answers, asked.target) };
      refusal = null;
      paint();
    },
    failed(error) {
      answer = null;
      refusal = { key: asked.key, error };
      paint();
    },
  });

  function update({ shown }) {
    latest = shown;
    if (shown.isPreview) paintGauge();
    else {
      const at = targetOf(shown);
      asked = { target: at, key: hasSlope(shown) ? asking.ask(questionsOf(shown, at)) : NO_SLOPE };
      paint();
    }
  }

  // The row in focus, while numbers are on their way.
  function paintGauge() {
    const { row } = latest.view.focus;
    const { numbers, request, view } = latest;
    const jacobian = jacobianOf(request.normalizer, numbers.logits[row], numbers.weights[row]);
    gauge.root.hidden = !jacobian;
    const name = namesOf(view, "query", row + 1)[row];
    const most = mostOf(request.normalizer, numbers.logits[row]);
    if (jacobian)
      gauge.paint({ jacobian, most, logits: numbers.logits[row], query: name, normalizer: request.normalizer.name });
  }

  function paint() {
    const at = asked.target;
    const isRefused = asked.key === NO_SLOPE || refusal?.key === asked.key;
    const isAnswered = answer?.key === asked.key;
    const key = JSON.stringify([
      asked.key,
      isAnswered,
      isRefused,
      theme.current(),
      latest.view.language,
      latest.view.names,
    ]);
    if (key === painted) return;
    painted = key;
    paintGauge();
    setText(target, targetText(latest.view, at));
    setText(problem, isRefused ? refusalText(asked, refusal, latest) : "");
    const own = ownSlopes(latest, at);
    const slopes = isAnswered ? answer.slopes : own;
    for (const name of MAPS) {
      const isShown = Boolean(slopes[name]) && !isRefused;
      maps[name].root.hidden = !isShown;
      if (isShown) maps[name].paint(describe(name, slopes[name], latest, at, theme.current()));
    }
    paintFound(isAnswered ? differenceOf(own, answer.slopes) : null, isAnswered, isRefused);
  }

  function paintFound(both, isAnswered, isRefused) {
    const isMatch = both && both.difference <= TOLERANCE * Math.max(1, both.size);
    const state = !isAnswered ? "pending" : !both ? "unchecked" : isMatch ? "match" : "mismatch";
    const values = both && { difference: formatDifference(both.difference) };
    found.hidden = isRefused;
    setAttributes(found, { "data-state": state });
    setText(found, t(`slopes.${state}`, values ?? {}));
  }

  return { update };
}

function targetText(view, { isOutput, row, column }) {
  const name = namesOf(view, isOutput ? "value" : "key", column + 1)[column];
  return t(isOutput ? "slopes.of_output" : "slopes.of_weight", { query: namesOf(view, "query", row + 1)[row], name });
}

function refusalText({ key }, refusal, { request }) {
  if (key === NO_SLOPE) return t("slopes.no_slope", { normalizer: request.normalizer.name });
  const { error } = refusal;
  if (!error) return t("slopes.away");
  if (error.errors.some(({ pointer }) => pointer.startsWith("/request/normalizer")))
    return t("slopes.no_slope", { normalizer: request.normalizer.name });
  return `${t(has(`problem.${error.slug}`) ? `problem.${error.slug}` : "problem.other")} ${error.detail}`;
}

function describe(name, matrix, { view, numbers }, { row, isOutput }, theme) {
  const keys = namesOf(view, "key", numbers.weights[0].length);
  const names = {
    jacobian: [keys, keys],
    query: [namesOf(view, "query", row + 1).slice(row), namesOf(view, "feature", matrix[0].length)],
    key: [keys, namesOf(view, "feature", matrix[0].length)],
    value: [keys, namesOf(view, "value", matrix[0].length)],
  };
  const [rowNames, columnNames] = names[name];
  const isMasked = (key) => numbers.logits[row][key] === -Infinity;
  const hidden = {
    jacobian: (one, other) => isMasked(one) || isMasked(other),
    query: () => false,
    key: isMasked,
    value: isMasked,
  };
  return {
    title: t(`slopes.map_${name}`, { number: t(isOutput ? "slopes.output" : "slopes.weight") }),
    help: t(`slopes.help_${name}`),
    matrix,
    rowNames,
    columnNames,
    isHidden: hidden[name],
    label: (at, to, number) => t(`slopes.cell_${name}`, { row: rowNames[at], column: columnNames[to], number }),
    theme,
  };
}
