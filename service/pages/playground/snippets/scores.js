// The lines that compute `scores`, (Lq, Lk), by each score model.
import { t } from "../words/i18n.js";
import { floatOf, pythonOf } from "./literals.js";

const dot = (dialect) => `query @ ${dialect.transpose("key")}`;

const tensor = (dialect, name, value) => `${name} = ${dialect.array(pythonOf(value))}`;

const rowSum = (x) => `xp.sum(${x}, axis=-1)`;

const SCALE = "query.shape[-1] ** -0.5";

// The largest element is taken out first, so that no square leaves float64; a zero vector stays one.
const UNIT = [
  "def unit(x):",
  "    largest = xp.amax(xp.abs(x), axis=-1, keepdims=True)",
  "    x = x / xp.where(largest > 0, largest, 1.0)",
  "    length = xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True))",
  "    return x / xp.where(length > 0, length, 1.0)",
  "",
];

const difference = "query[:, None] - key[None, :]";

export const SCORES = {
  scaled_dot_product: ({ scale }, dialect) => [
    `scale = ${scale === undefined ? SCALE : floatOf(scale)}`,
    `scores = ${dot(dialect)} * scale`,
  ],
  dot_product: (_, dialect) => [`scores = ${dot(dialect)}`],
  additive: ({ query_weight, key_weight, score_vector, hidden_bias }, dialect) => [
    tensor(dialect, "query_weight", query_weight),
    tensor(dialect, "key_weight", key_weight),
    tensor(dialect, "score_vector", score_vector),
    ...(hidden_bias ? [tensor(dialect, "hidden_bias", hidden_bias)] : []),
    `of_queries = query @ ${dialect.transpose("query_weight")}`,
    `of_keys = key @ ${dialect.transpose("key_weight")}`,
    `inside = of_queries[:, None] + of_keys[None, :]${hidden_bias ? " + hidden_bias" : ""}`,
    ...(dialect.tanh ? [`# ${t("request.tanh")}`] : []),
    `hidden = ${dialect.tanh?.("inside") ?? "xp.tanh(inside)"}`,
    `scores = ${rowSum("hidden * score_vector")}`,
  ],
  bilinear: ({ weight }, dialect) => [
    tensor(dialect, "weight", weight),
    `scores = query @ weight @ ${dialect.transpose("key")}`,
  ],
  cosine: ({ scale }, dialect) => [
    ...UNIT,
    "",
    `scores = ${floatOf(scale ?? 1)} * (unit(query) @ ${dialect.transpose("unit(key)")})`,
  ],
  gaussian: ({ bandwidth }) => [
    `bandwidth = ${floatOf(bandwidth ?? 1)}`,
    `scores = -${rowSum(`(${difference}) ** 2`)} / (2 * bandwidth**2)`,
  ],
  laplacian: ({ bandwidth }) => [
    `bandwidth = ${floatOf(bandwidth ?? 1)}`,
    `scores = -${rowSum(`xp.abs(${difference})`)} / bandwidth`,
  ],
  trilinear: ({ weight }, dialect) => {
    const size = weight.length / 3;
    const rows = [0, 1, 2].map((part) => weight.slice(part * size, (part + 1) * size));
    return [
      tensor(dialect, "weight", rows),
      `of_queries = ${rowSum("query * weight[0]")}`,
      `of_keys = ${rowSum("key * weight[1]")}`,
      `products = (query * weight[2]) @ ${dialect.transpose("key")}`,
      "scores = of_queries[:, None] + of_keys[None, :] + products",
    ];
  },
};
