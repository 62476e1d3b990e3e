// Exponentials over their sum; the maximum is taken off first, so that nothing overflows.
export function softmax(logits, { temperature, sink }) {
  const scaled = logits.map((logit) => logit / (temperature ?? 1));
  const largest = Math.max(...scaled, sink ?? -Infinity);
  const exponentials = scaled.map((logit) => Math.exp(logit - largest));
  const rest = sink === null || sink === undefined ? 0 : Math.exp(sink - largest);
  const total = exponentials.reduce((sum, value) => sum + value, rest);
  return exponentials.map((value) => value / total);
}

export function hardmax(logits) {
  const winner = logits.indexOf(Math.max(...logits));
  return logits.map((_, index) => (index === winner ? 1 : 0));
}
