// Which key a query may see; every mask that is given must allow it.
export function isVisible(mask, query, key) {
  if (!mask) return true;
  const position = query + (mask.offset ?? 0);
  if (mask.causal && key > position) return false;
  if (mask.window && !isInside(mask.window, position, key)) return false;
  if (mask.key_lengths && key >= mask.key_lengths[0]) return false;
  return !mask.allowed || mask.allowed[query][key];
}

function isInside({ left, right }, position, key) {
  return (left === null || key >= position - left) && (right === null || key <= position + right);
}
