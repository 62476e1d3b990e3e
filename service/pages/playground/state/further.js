// What a request may say besides Q, K, V, score model, normalizer and the usual masks.

// Each field by its place in the request, as error pointers spell it.  `kind` says how it is written; an `axis` that it
// has one entry for, and the entry of a new row.  Parameters of a position belong to `only` one of them.
export const FURTHER = [
  { place: "softcap", kind: "positive" },
  { place: "bias", kind: "tensor" },
  { place: "position/name", kind: "choice", choices: ["alibi", "rotary"] },
  { place: "position/slopes", kind: "reals", only: "alibi" },
  { place: "position/base", kind: "positive", only: "rotary" },
  { place: "position/dims", kind: "count", only: "rotary" },
  { place: "position/interleaved", kind: "choice", choices: [true], only: "rotary" },
  { place: "position/scaling", kind: "object", only: "rotary" },
  // How many of the keys, the first ones, a request holds as past_key and past_value.
  { place: "past_key", kind: "count" },
  { place: "dtype", kind: "choice", choices: ["float32", "float16", "bfloat16"] },
  { place: "score_modifier/formula", kind: "text" },
  { place: "score_modifier/parameters", kind: "object" },
  { place: "mask/formula", kind: "text" },
  { place: "mask/parameters", kind: "object" },
  { place: "mask/prefix_lengths", kind: "counts" },
  { place: "mask/key_allowed", kind: "flags", axis: "key", entry: () => true },
  { place: "positions/query", kind: "integers", axis: "query", entry: (last) => last + 1 },
  { place: "positions/key", kind: "integers", axis: "key", entry: (last) => last + 1 },
];

// Kinds that are written as a list.
export const LIST_KINDS = ["integers", "counts", "flags"];

export const emptyFurther = () => Object.fromEntries(FURTHER.map(({ place }) => [place, null]));

export const hasFormulas = ({ further }) =>
  further["score_modifier/formula"] !== null || further["mask/formula"] !== null;

// Positions count for a query that stands at its index + offset.
export const usesPositions = ({ further }) => further["position/name"] !== null;

// Fields of a request that change its numbers, and that curves and code which know Q, K, V, masks and formulas leave out.
export const ADVANCED = ["softcap", "bias", "position", "dtype"];

// Those of them that a request has.
export const advancedOf = (request) =>
  ADVANCED.filter((name) => (request[name] ?? null) !== null && request[name] !== "float64");

// The fields of one member of the request, such as mask, by their own names; null if none of them is given.
export function membersOf({ further }, member) {
  const given = FURTHER.filter(({ place }) => place.startsWith(`${member}/`) && further[place] !== null);
  if (!given.length) return null;
  return Object.fromEntries(given.map(({ place }) => [place.slice(member.length + 1), further[place]]));
}

export function furtherFrom(request) {
  return Object.fromEntries(
    FURTHER.map(({ place, kind, choices }) => {
      const [member, name] = place.split("/");
      const found = name ? memberIn(request, member)[name] : request[member];
      const value = structuredClone(found ?? null);
      // A field that is left out has its default; so has one that says it.
      return [place, kind === "choice" && !choices.includes(value) && isDefault(value) ? null : value];
    }),
  );
}

const isDefault = (value) => value === false || value === "float64";

const memberIn = (request, member) =>
  typeof request[member] === "string" ? { name: request[member] } : (request[member] ?? {});

// An encoding of positions with its own parameters; null for none.
export function positionOf(state) {
  const members = membersOf(state, "position");
  if (!members?.name) return null;
  const own = FURTHER.filter(({ only }) => only === members.name).map(({ place }) => place.split("/")[1]);
  return Object.fromEntries(Object.entries(members).filter(([name]) => name === "name" || own.includes(name)));
}

// Lists keep up with the rows of Q or K that come at the end, or go.
export function growFurther({ further }, axes) {
  for (const { place, entry } of listsOf(further, axes)) further[place].push(entry(further[place].at(-1) ?? -1));
}

export function shrinkFurther({ further }, axes, index) {
  for (const { place } of listsOf(further, axes)) further[place].splice(index, 1);
}

const listsOf = (further, axes) => FURTHER.filter(({ place, axis }) => axes.includes(axis) && further[place] !== null);
