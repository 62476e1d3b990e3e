// Standard normal numbers that are the same at every visit.
const RANGE = 2 ** 32;

// Mulberry32: a counter whose bits are mixed.  Returns a function for numbers from 0 to 1, without 1.
function uniform(seed) {
  let counter = seed;
  return () => {
    counter = (counter + 0x6d2b79f5) | 0;
    let bits = Math.imul(counter ^ (counter >>> 15), counter | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / RANGE;
  };
}

// Box and Muller: two uniform numbers give two normal ones.
export function normals(seed) {
  const next = uniform(seed);
  let spare = null;
  return () => {
    if (spare !== null) {
      const kept = spare;
      spare = null;
      return kept;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - next()));
    const angle = 2 * Math.PI * next();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}
