// Which queries and keys of a flow have a name of their own; the others are folded together.
export const MAX_KEYS = 8;

export const MAX_QUERIES = 8;

const sizeOf = (weight) => Math.abs(weight) || 0;

// Groups in the order of the result: {members, isRest}.  `rows` are the rows of weights that are shown.  Keys count by
// their weights in those rows, and a key that is masked for the focused row counts like the others.
export function groupKeys(rows, focused) {
  const sums = rows[0].map((_, key) => rows.reduce((sum, row) => sum + sizeOf(row[key]), 0));
  return grouped(sums, MAX_KEYS, focused);
}

// The focused query and those next to it.
export function groupQueries(count, focused) {
  const nearness = Array.from({ length: count }, (_, row) => -Math.abs(row - focused));
  return grouped(nearness, MAX_QUERIES, focused);
}

// A fold of one would take as much room as the one.
function grouped(merits, most, focused) {
  const all = merits.map((_, index) => index);
  if (all.length <= most + 1) return all.map(single);
  const order = all.toSorted((one, other) => (other === focused) - (one === focused) || merits[other] - merits[one] || one - other);
  const named = new Set(order.slice(0, most));
  return [...all.filter((index) => named.has(index)).map(single), { members: all.filter((index) => !named.has(index)), isRest: true }];
}

const single = (index) => ({ members: [index], isRest: false });

// The weights between two groups, together.
export const weightBetween = (weights, queries, keys) =>
  queries.members.reduce((sum, row) => keys.members.reduce((all, key) => all + weights[row][key], sum), 0);
