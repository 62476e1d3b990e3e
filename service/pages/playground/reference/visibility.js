// Which key a query may see; every mask that is given must allow it.
export function isVisible(mask, query, key, positions) {
  if (!mask) return true;
  const position = positions?.query?.[query] ?? query + (mask.offset ?? 0);
  const place = positions?.key?.[key] ?? key;
  const inPrefix = mask.prefix_lengths && key < mask.prefix_lengths[0];
  if (mask.causal && place > position && !inPrefix) return false;
  if (mask.window && !isInside(mask.window, position, place) && !inPrefix) return false;
  if (mask.key_allowed && !mask.key_allowed[key]) return false;
  if (mask.key_lengths && key >= mask.key_lengths[0]) return false;
  return !mask.allowed || mask.allowed[query][key];
}

function isInside({ left, right }, position, key) {
  return (left === null || key >= position - left) && (right === null || key <= position + right);
}
