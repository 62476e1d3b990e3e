// Scores that are built of products: dot product, scaled, cosine, bilinear, trilinear.
export const dot = (left, right) => left.reduce((sum, value, index) => sum + value * right[index], 0);

export const dotProduct = () => dot;

export function scaledDotProduct({ scale }) {
  return (query, key) => dot(query, key) * (scale ?? 1 / Math.sqrt(query.length));
}

export function cosine({ scale }) {
  return (query, key) => {
    const norms = Math.hypot(...query) * Math.hypot(...key);
    return norms === 0 ? 0 : ((scale ?? 1) * dot(query, key)) / norms;
  };
}

export function bilinear({ weight }) {
  return (query, key) =>
    dot(
      query,
      weight.map((row) => dot(row, key)),
    );
}

export function trilinear({ weight }) {
  return (query, key) => {
    const size = query.length;
    const products = query.map((value, index) => value * key[index]);
    return (
      dot(weight.slice(0, size), query) + dot(weight.slice(size, 2 * size), key) + dot(weight.slice(2 * size), products)
    );
  };
}
