// The request as plain mathematics in Python, with NumPy, PyTorch or Keras.
import { advancedOf } from "../state/further.js";
import { t } from "../words/i18n.js";
import * as dialects from "./dialects.js";
import { maskLines, modifierLines, needsScalars, scoreLines } from "./formulas.js";
import { pythonOf } from "./literals.js";
import { SCORES } from "./scores.js";
import { isPlainlyCausal, visibleLines } from "./visible.js";
import { BROKEN, WEIGHTS } from "./weights.js";

// What stands for a constant in templates, as `xp.NAME`.
const CONSTANTS = {
  numpy: { MINUS_INFINITY: "-np.inf", INFINITY: "np.inf", NOT_A_NUMBER: "np.nan", BOOL: "bool" },
  pytorch: { MINUS_INFINITY: "-torch.inf", INFINITY: "torch.inf", NOT_A_NUMBER: "torch.nan", BOOL: "torch.bool" },
  keras: {
    MINUS_INFINITY: 'float("-inf")',
    INFINITY: 'float("inf")',
    NOT_A_NUMBER: 'float("nan")',
    BOOL: '"bool"',
  },
};

const isFinite2 = (rows) => rows.every((row) => row.every(Number.isFinite));

const hasFormula = ({ request }) =>
  request.score_model.name === "expression" || Boolean(request.score_modifier) || Boolean(request.mask?.formula);

// The key of a sentence that says why there is no such code; undefined where there is.
function refusalOf({ request, tensors }) {
  const { score_model: model, normalizer } = request;
  if (![request.query, tensors.key, tensors.value ?? []].every(isFinite2)) return "request.not_finite";
  if (!(model.name in SCORES) && model.name !== "expression") return "request.unknown";
  if (!(normalizer.name in WEIGHTS)) return "request.unknown";
  if (advancedOf(request).length) return "request.advanced";
  return model.name === "expression" && needsScalars(model.formula) ? "request.vector_logic" : undefined;
}

const section = (key, lines) => ["", `# ${t(key)}`, ...lines];

function maskSection({ request }, context) {
  const { mask, positions, score_modifier: modifier } = request;
  const visible = visibleLines(mask, positions, context);
  const byFormula = mask?.formula ? maskLines(mask, positions, context) : [];
  const scores = modifier ? "modified" : "scores";
  const whole = [...(visible.length ? ["visible"] : []), ...(byFormula.length ? ["by_formula"] : [])].join(" & ");
  const logits = whole ? `xp.where(${whole}, ${scores}, xp.MINUS_INFINITY)` : scores;
  return [...visible, ...byFormula, `logits = ${logits}`];
}

// Where PyTorch's own function computes the same: it returns the output alone, and knows neither sink nor modifier.
function fits({ request, tensors, numbers }) {
  const { score_model: model, normalizer, score_modifier: modifier, mask } = request;
  const isSoftmax = normalizer.name === "softmax" && (normalizer.sink ?? null) === null;
  const isProduct = ["dot_product", "scaled_dot_product"].includes(model.name);
  return isSoftmax && isProduct && Boolean(tensors.value) && !modifier && !mask?.formula && !isBroken(numbers);
}

function fusedSection({ request }, context) {
  const { mask, positions, score_model: model, normalizer } = request;
  const temperature = normalizer.temperature ?? 1;
  const scale = model.name === "dot_product" ? "1.0" : (model.scale ?? "query.shape[-1] ** -0.5");
  const isUsual = model.name === "scaled_dot_product" && model.scale === undefined && temperature === 1;
  const isCausal = isPlainlyCausal(mask, positions);
  const visible = isCausal ? [] : visibleLines(mask, positions, context);
  const options = [
    ...(isCausal ? ["is_causal=True"] : visible.length ? ["attn_mask=visible"] : []),
    ...(isUsual ? [] : [`scale=${scale}${temperature === 1 ? "" : ` / ${temperature}`}`]),
  ];
  return [
    ...(visible.length ? section("request.mask", visible) : []),
    ...section("request.fused", [
      `output = F.scaled_dot_product_attention(${["query, key, value", ...options].join(", ")})`,
    ]),
    "print(output)",
  ];
}

const isBroken = ({ logits }) => logits.some((row) => row.some((logit) => Number.isNaN(logit) || logit === Infinity));

function stagedSections(asked, context) {
  const { request, tensors, numbers } = asked;
  const { score_model: model, normalizer, score_modifier: modifier, mask, positions } = request;
  const isFormula = model.name === "expression";
  const scores = isFormula ? scoreLines(model, context) : SCORES[model.name](model, context.dialect);
  const broken = isBroken(numbers) && normalizer.name !== "none" ? BROKEN : [];
  const shown = ["scores", "weights", ...(tensors.value ? ["output"] : [])];
  return [
    ...section("request.scores", scores),
    ...(modifier ? section("request.modifier", modifierLines(modifier, mask, positions, context)) : []),
    ...section("request.mask", maskSection(asked, context)),
    ...section("request.weights", [...WEIGHTS[normalizer.name](normalizer, context), ...broken]),
    ...(tensors.value ? section("request.output", ["output = weights @ value"]) : []),
    "",
    ...shown.map((name) => `print("${name}", ${name}, sep="\\n")`),
  ];
}

// Whether a key may be hidden from a query.
const hidesKeys = ({ request }) => Boolean(request.mask || request.score_modifier);

// Returns {code}, or {refusal}, a sentence.
function program(library, asked) {
  const refusal = refusalOf(asked);
  if (refusal) return { refusal: t(refusal, { library: t(`request.${library}`) }) };
  const { request, tensors, index, memory } = asked;
  const dialect = dialects[library];
  const [queries, keys] = [request.query.length, tensors.key.length];
  const context = { dialect, index, queries, keys, hides: hidesKeys(asked) };
  const usesNumpy = library !== "numpy" && hasFormula(asked);
  const isFused = library === "pytorch" && fits(asked);
  const lines = [
    ...(library === "keras" ? [`# ${t("request.backend")}`] : []),
    ...dialect.imports,
    ...(usesNumpy ? ["import numpy as np"] : []),
    ...(isFused ? ["import torch.nn.functional as F"] : []),
    "",
    ...dialect.setup,
    ...(hasFormula(asked) ? [`# ${t("request.pairs")}`, 'np.seterr(all="ignore")'] : []),
    ...(memory ? [`# ${t("request.memory", memory)}`] : []),
    `query = ${dialect.array(pythonOf(request.query))}`,
    ...["key", "value"]
      .filter((name) => tensors[name])
      .map((name) => `${name} = ${dialect.array(pythonOf(tensors[name]))}`),
    ...(isFused ? fusedSection(asked, context) : stagedSections(asked, context)),
    "",
  ];
  const constants = CONSTANTS[library];
  return { code: dialect.spell(lines.join("\n").replace(/\bxp\.([A-Z_]+)\b/g, (_, name) => constants[name])) };
}

export const numpy = (asked) => program("numpy", asked);

export const pytorch = (asked) => program("pytorch", asked);

export const keras = (asked) => program("keras", asked);
