// Inputs on which kernels often go wrong; each is a request for the page.
const MULTIPLIER = 1103515245;

// Multiples of 1/8 between −2 and 2, which every type stores: the same numbers at each visit.
function numbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, MULTIPLIER) + 12345) >>> 0;
    return ((state >>> 16) % 33) / 8 - 2;
  };
}

function matrices(seed, { queries, keys, features = 4, values = 3, slices = 1 }) {
  const next = numbers(seed);
  const matrix = (rows, columns) => Array.from({ length: rows }, () => Array.from({ length: columns }, next));
  const tensor = (rows, columns) => {
    const all = Array.from({ length: slices }, () => matrix(rows, columns));
    return slices > 1 ? all : all[0];
  };
  return { query: tensor(queries, features), key: tensor(keys, features), value: tensor(keys, values) };
}

const times = (matrix, factor) => matrix.map((row) => row.map((number) => number * factor));

function large() {
  const { query, key, value } = matrices(5, { queries: 3, keys: 5 });
  return { query: times(query, 32), key: times(key, 32), value };
}

// The second query sees nothing, the last one a single key.
const blind = [
  [true, true, false, true],
  [false, false, false, false],
  [false, false, true, false],
];

// By name; `kernel.case_NAME` names it, and `kernel.case_NAME_finds` the mistakes that it finds.
export const CASES = {
  odd: () => matrices(1, { queries: 5, keys: 7 }),
  causal: () => ({ ...matrices(2, { queries: 4, keys: 7 }), mask: { causal: true, offset: 3 } }),
  window: () => ({ ...matrices(3, { queries: 6, keys: 6 }), mask: { window: { left: 2, right: 0 } } }),
  lengths: () => ({ ...matrices(4, { queries: 3, keys: 6, slices: 2 }), mask: { key_lengths: [2, 5] } }),
  large,
  blind: () => ({ ...matrices(6, { queries: 3, keys: 4 }), mask: { allowed: blind } }),
  sink: () => ({ ...matrices(7, { queries: 4, keys: 5 }), normalizer: { name: "softmax", temperature: 0.5, sink: 1 } }),
};
