// A small network for each pair: v · tanh(W_q q + W_k k + b).
import { dot } from "./products.js";

export function additive({ query_weight, key_weight, score_vector, hidden_bias }) {
  return (query, key) =>
    score_vector.reduce((sum, share, unit) => {
      const inside = dot(query_weight[unit], query) + dot(key_weight[unit], key) + (hidden_bias?.[unit] ?? 0);
      return sum + share * Math.tanh(inside);
    }, 0);
}
