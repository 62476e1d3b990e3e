// Scores that fall with distance.
export function gaussian({ bandwidth }) {
  const width = bandwidth ?? 1;
  return (query, key) => -query.reduce((sum, value, index) => sum + (value - key[index]) ** 2, 0) / (2 * width * width);
}

export function laplacian({ bandwidth }) {
  return (query, key) => -query.reduce((sum, value, index) => sum + Math.abs(value - key[index]), 0) / (bandwidth ?? 1);
}
