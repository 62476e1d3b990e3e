// Formulas of the request, which are Python's expressions, as functions that NumPy evaluates for each pair.
import { pythonOf } from "./literals.js";

const IMPORTED =
  "abs sqrt exp expm1 log log1p tanh sin cos square sign floor minimum maximum clip where sum mean max min dot pi e inf";

const DEFINED = {
  sigmoid: "lambda x: np.exp(-np.logaddexp(0.0, -x))",
  softplus: "lambda x: np.logaddexp(0.0, x)",
  relu: "lambda x: np.maximum(x, 0.0)",
  norm: "lambda x: np.linalg.norm(x)",
  norm1: "lambda x: np.sum(np.abs(x))",
  concat: "lambda *parts: np.hstack(parts)",
  cosine: "lambda a, b: np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)) if np.any(a) and np.any(b) else 0.0",
};

const SIZES = { Dq: "float(len(q))", Dk: "float(len(k))", D: "float(len(q))" };

// An index outside gives NaN, and a position is a whole number of float64.
const TABLE = [
  "class Table(np.ndarray):",
  "    def __getitem__(self, index):",
  "        index = index if isinstance(index, tuple) else (index,)",
  "        inside = all(0 <= at < size for at, size in zip(index, self.shape))",
  "        return np.asarray(self)[tuple(map(int, index))] if inside else np.nan",
  "",
  "",
];

const namesIn = (formula) => new Set(formula.match(/[A-Za-z_]\w*/g));

// Python's `and`, `or`, `not` and chained comparisons are of single numbers; a score model may apply them to vectors.
export const needsScalars = (formula) =>
  /\b(and|or|not)\b/.test(formula) || (formula.match(/[<>]=?|[=!]=/g) ?? []).length > 1;

function parameterOf(value, { formula, head }) {
  const own = typeof value === "object" && value !== null && "per_head" in value ? value.per_head[head] : value;
  if (typeof own === "number") return `np.float64(${own})`;
  const array = `np.array(${pythonOf(own, "    ")}, dtype=np.float64)`;
  return formula.includes("[") ? `${array}.view(Table)` : array;
}

// Lines that define a function `name` of `variables`, to be called with `**name_parameters`.
export function functionLines(name, { formula, parameters }, variables, { index, queries, keys }) {
  const used = namesIn(formula);
  const given = Object.keys(parameters ?? {});
  const imported = IMPORTED.split(" ").filter((one) => used.has(one));
  const entries = given.map(
    (one) => `    "${one}": ${parameterOf(parameters[one], { formula, head: index[1] ?? 0 })},`,
  );
  const places = { b: index[0] ?? 0, h: index[1] ?? 0, Lq: queries, Lk: keys };
  const constants = [
    ...Object.entries(DEFINED),
    ...(variables.includes("q")
      ? Object.entries(SIZES)
      : Object.entries(places).map(([one, n]) => [one, `np.float64(${n})`])),
  ].filter(([one]) => used.has(one));
  return [
    ...(given.length && formula.includes("[") ? TABLE : []),
    ...(given.length ? [`${name}_parameters = {`, ...entries, "}"] : [`${name}_parameters = {}`]),
    "",
    "",
    `def ${name}(${[...variables, ...given].join(", ")}):`,
    ...(imported.length ? [`    from numpy import ${imported.join(", ")}`, ""] : []),
    ...constants.map(([one, value]) => `    ${one} = ${value}`),
    "    return (",
    `        ${formula.trim()}`,
    "    )",
    "",
    "",
  ];
}

const positionOf = (mask, positions) => (positions?.query ? "positions[i]" : mask?.offset ? `i + ${mask.offset}` : "i");

const positionLines = (positions) => (positions?.query ? [`positions = ${pythonOf(positions.query)}`] : []);

const overPairs = (value, { queries, keys }) => [
  "[",
  `    [${value} for j in range(${keys})]`,
  `    for i in range(${queries})`,
  "]",
];

// Every pair at its place, in float64.
const called = (name, first, mask, positions) =>
  `${name}(${first}*map(np.float64, (i, j, ${positionOf(mask, positions)})), **${name}_parameters)`;

export function scoreLines(model, context) {
  const { dialect } = context;
  const pairs = `[[score_of(q, k, **score_of_parameters) for k in ${dialect.toNumpy("key")}] for q in ${dialect.toNumpy("query")}]`;
  return [
    ...functionLines("score_of", model, ["q", "k"], context),
    `scores = ${dialect.fromNumpy(`np.array(${pairs}, dtype=np.float64)`)}`,
  ];
}

export function modifierLines(modifier, mask, positions, context) {
  const { dialect } = context;
  const pair = called("modify", "before[i, j], ", mask, positions);
  return [
    ...functionLines("modify", modifier, ["score", "i", "j", "p"], context),
    ...positionLines(positions),
    `before = ${dialect.toNumpy("scores")}`,
    `modified = ${dialect.fromNumpy(`np.array(${overPairs(pair, context).join("\n")}, dtype=np.float64)`)}`,
  ];
}

export function maskLines(mask, positions, context) {
  const { dialect } = context;
  const pair = `bool(${called("sees", "", mask, positions)})`;
  return [
    ...functionLines("sees", mask, ["i", "j", "p"], context),
    ...positionLines(positions),
    `by_formula = ${dialect.array(overPairs(pair, context).join("\n"), "bool")}`,
  ];
}
