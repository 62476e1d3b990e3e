// Normalizers that look at one key at a time, and the one that divides by the sum.
const visible = (logits) => logits.filter((logit) => logit !== -Infinity);

export function sigmoid(logits, { bias }) {
  return logits.map((logit) => 1 / (1 + Math.exp(-(logit + (bias ?? 0)))));
}

export function relu(logits) {
  return logits.map((logit) => Math.max(logit, 0) / visible(logits).length);
}

export function none(logits) {
  return logits.map((logit) => (logit === -Infinity ? 0 : logit));
}

export function proportional(logits) {
  const largest = Math.max(...logits);
  if (largest <= 0) return logits.map(() => 0);
  const shares = logits.map((logit) => (logit === -Infinity ? 0 : logit / largest));
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}
