// The forms that a request can have: heads packed or in another order, keys in a cache.  The page has one of them.
const TENSORS = ["query", "key", "value", "past_key", "past_value"];

const rankOf = (tensor) => (Array.isArray(tensor) ? 1 + rankOf(tensor[0]) : 0);

const isGiven = (tensor) => tensor !== null && tensor !== undefined;

// Returns the same request with heads on an axis in front of the rows and all keys in `key`; `past_key` is then the
// number of those that came from the cache.  Throws TypeError for a request that the service would refuse.
export function plainForm(request) {
  const { heads, layout, ...plain } = request;
  for (const name of TENSORS) if (!isGiven(plain[name])) delete plain[name];
  if (layout === "bshd") for (const name of TENSORS) if (plain[name]) plain[name] = plain[name].map(swapAxes);
  if (heads) {
    for (const [name, count] of [["query", heads.query], ["key", heads.key_value], ["value", heads.key_value]])
      if (plain[name]) plain[name] = plain[name].map((rows) => unpacked(rows, count));
  }
  const past = plain.past_key;
  if (past) {
    plain.key = joined(past, plain.key);
    if (plain.value) plain.value = joined(plain.past_value, plain.value);
    plain.past_key = rowsOf(past);
  }
  delete plain.past_value;
  requireHeads(plain);
  return plain;
}

function requireHeads({ query, key, value }) {
  const tensors = [query, key, value].filter(isGiven);
  const ranks = tensors.map(rankOf);
  const isDeep = ranks.some((rank) => rank > 3);
  if (ranks.some((rank) => rank < 2 || rank > 4 || (isDeep && rank < 4))) throw new TypeError("ranks");
  if (isDeep && value && value[0].length !== key[0].length) throw new TypeError("heads of values");
}

const swapAxes = (rows) => rows[0].map((_, head) => rows.map((row) => row[head]));

function unpacked(rows, heads) {
  const width = rows[0].length / heads;
  if (!Number.isInteger(width)) throw new TypeError("heads");
  return Array.from({ length: heads }, (_, head) => rows.map((row) => row.slice(head * width, (head + 1) * width)));
}

const joined = (past, now) =>
  rankOf(past) > 2 ? past.map((part, index) => joined(part, now[index])) : [...past, ...now];

const rowsOf = (tensor) => (rankOf(tensor) > 2 ? rowsOf(tensor[0]) : tensor.length);
