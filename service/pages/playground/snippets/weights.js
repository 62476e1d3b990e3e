// The lines that compute `weights`, (Lq, Lk), from `logits`, in which −∞ hides a key, by each normalizer.
import { t } from "../words/i18n.js";
import { floatOf } from "./literals.js";

// A query that sees no key has −∞ for its largest logit; 0 in its place gives that row the weights 0.
const shifted = (hides, from = "logits") => [
  `largest = xp.amax(${from}, axis=-1, keepdims=True)`,
  ...(hides ? ["largest = xp.where(largest > xp.MINUS_INFINITY, largest, 0.0)"] : []),
];

const positiveOr1 = (name) => `xp.where(${name} > 0, ${name}, 1.0)`;

const withoutHidden = (hides) => (hides ? "xp.where(logits > xp.MINUS_INFINITY, logits, 0.0)" : "logits");

function softmax({ temperature, sink }, { dialect, hides }) {
  const isPlain = (temperature ?? 1) === 1;
  const logits = isPlain ? "logits" : `(logits / ${temperature})`;
  const hasSink = sink !== null && sink !== undefined;
  if (dialect.softmax && !hides && !hasSink)
    return [`weights = ${dialect.softmax(isPlain ? "logits" : `logits / ${temperature}`)}`];
  const sum = "xp.sum(exponentials, axis=-1, keepdims=True)";
  return [
    ...(hasSink
      ? [`sink = ${floatOf(sink)}`, ...shifted(false, logits), `largest = ${dialect.atLeast("largest", "sink")}`]
      : shifted(hides, logits)),
    `exponentials = xp.exp(${logits} - largest)`,
    `total = ${sum}${hasSink ? " + xp.exp(sink - largest)" : ""}`,
    `weights = exponentials / ${hides && !hasSink ? positiveOr1("total") : "total"}`,
  ];
}

const proportional = (_, { hides }) => [
  `shares = ${withoutHidden(hides)}`,
  "largest = xp.amax(shares, axis=-1, keepdims=True)",
  `shares = shares / ${positiveOr1("largest")}`,
  "total = xp.sum(shares, axis=-1, keepdims=True)",
  `weights = shares / ${positiveOr1("total")}`,
];

const sparsemax = (_, { dialect, hides, keys }) => [
  ...shifted(hides),
  "shifted = logits - largest",
  `ordered = ${dialect.descending("shifted")}`,
  `ranks = ${dialect.arange(1, keys + 1)} * 1.0`,
  `support = 1 + ranks * ordered > ${dialect.cumsum("ordered")}`,
  "size = xp.sum(xp.where(support, 1.0, 0.0), axis=-1, keepdims=True)",
  `total = xp.sum(xp.where(support, ordered, 0.0), axis=-1, keepdims=True)`,
  `ahead = shifted - (total - 1) / ${dialect.atLeast("size", "1.0")}`,
  `weights = ${dialect.atLeast("ahead", "0.0")}`,
];

// For alpha near 1, or large, the threshold itself would hide what matters behind its last bit.
const ENTMAX = [
  "def entmax(logits, rate):",
  "    seen = sorted((z for z in logits if z > -math.inf), reverse=True)",
  "",
  "    def weight(ahead, smallest):",
  "        if rate > 1 or smallest == 0:",
  "            base = rate * ahead + smallest**rate",
  "            return math.inf if base > 1 else base ** (1 / rate)",
  "        base = rate * ahead + math.expm1(rate * math.log(smallest))",
  "        return math.inf if base > 0 else 0.0 if base <= -1 else math.exp(math.log1p(base) / rate)",
  "",
  "    def total(count, smallest):",
  "        return sum(weight(z - seen[count - 1], smallest) for z in seen[:count])",
  "",
  "    count = sum(total(n + 1, 0) < 1 for n in range(len(seen)))",
  "    low, high = 0.0, 1.0",
  "    for _ in range(200):",
  "        middle = (low + high) / 2",
  "        low, high = (low, middle) if total(count, middle) > 1 else (middle, high)",
  "    least = seen[count - 1] if seen else 0.0",
  "    return [weight(z - least, low) if z >= least else 0.0 for z in logits]",
  "",
  "",
];

function entmax({ alpha }, context) {
  const rate = (alpha ?? 1.5) - 1;
  if (rate === 0) return softmax({}, context);
  const { dialect } = context;
  const rows = `[entmax(row, ${alpha ?? 1.5} - 1) for row in ${dialect.toNumpy("logits")}.tolist()]`;
  return ["import math", "", "", `# ${t("request.entmax")}`, ...ENTMAX, `weights = ${dialect.array(rows)}`];
}

const hardmax = (_, { dialect, hides }) => [
  "largest = xp.amax(logits, axis=-1, keepdims=True)",
  `winners = xp.where(logits == largest, 1.0, 0.0)${hides ? " * xp.where(logits > xp.MINUS_INFINITY, 1.0, 0.0)" : ""}`,
  `weights = xp.where(${dialect.cumsum("winners")} == 1, winners, 0.0)`,
];

export const WEIGHTS = {
  softmax,
  proportional,
  sparsemax,
  entmax,
  hardmax,
  sigmoid: ({ bias }, { dialect }) => [`weights = ${dialect.sigmoid(bias ? `logits + ${bias}` : "logits")}`],
  relu: (_, { dialect, hides, keys }) => [
    ...(hides ? ["visible_keys = xp.sum(xp.where(logits > xp.MINUS_INFINITY, 1.0, 0.0), axis=-1, keepdims=True)"] : []),
    `weights = ${dialect.atLeast("logits", "0.0")} / ${hides ? dialect.atLeast("visible_keys", "1.0") : keys}`,
  ],
  none: (_, { hides }) => [`weights = ${withoutHidden(hides)}`],
};

// A row with NaN or +∞ among its logits has NaN for its weights.
export const BROKEN = [
  "broken = xp.any(xp.isnan(logits) | (logits == xp.INFINITY), axis=-1, keepdims=True)",
  "weights = xp.where(broken, xp.NOT_A_NUMBER, weights)",
];
