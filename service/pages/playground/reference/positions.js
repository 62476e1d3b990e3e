// Positions in scores: ALiBi subtracts a slope times the distance, rotary embeddings turn pairs of features.
const ONE_HEAD_SLOPE = 2 ** -8;

// Where queries and keys stand.
export function placesOf({ mask, positions, past_key: past }) {
  const offset = mask?.offset ?? past?.length ?? 0;
  return {
    query: (index) => positions?.query?.[index] ?? index + offset,
    key: (index) => positions?.key?.[index] ?? index,
  };
}

export function alibi({ slopes }, places) {
  const slope = slopes ?? ONE_HEAD_SLOPE;
  return (query, key) => -slope * Math.abs(places.query(query) - places.key(key));
}

// Returns a function of a vector and its position; null for features that cannot be turned in pairs.
export function rotary({ base, dims, interleaved }, features) {
  const turned = dims ?? features;
  if (turned % 2 || turned > features) return null;
  const half = turned / 2;
  const angles = Array.from({ length: half }, (_, pair) => (base ?? 10000) ** (-pair / half));
  const places = angles.map((_, pair) => (interleaved ? [2 * pair, 2 * pair + 1] : [pair, pair + half]));
  return (vector, position) => {
    const result = [...vector];
    angles.forEach((angle, pair) => {
      const [first, second] = places[pair];
      const [cosine, sine] = [Math.cos(position * angle), Math.sin(position * angle)];
      result[first] = vector[first] * cosine - vector[second] * sine;
      result[second] = vector[first] * sine + vector[second] * cosine;
    });
    return result;
  };
}
