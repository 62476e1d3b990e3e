// What a request may say besides Q, K, V, score model, normalizer and the usual masks: formulas and positions.

// Each field by its place in the request, as error pointers spell it.  `kind` says how it is written; an `axis` that it
// has one entry for, and the entry of a new row.
export const FURTHER = [
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

// The fields of one member of the request, such as mask, by their own names; null if none of them is given.
export function membersOf({ further }, member) {
  const given = FURTHER.filter(({ place }) => place.startsWith(`${member}/`) && further[place] !== null);
  if (!given.length) return null;
  return Object.fromEntries(given.map(({ place }) => [place.slice(member.length + 1), further[place]]));
}

export function furtherFrom(request) {
  return Object.fromEntries(
    FURTHER.map(({ place }) => {
      const [member, name] = place.split("/");
      return [place, structuredClone(request[member]?.[name] ?? null)];
    }),
  );
}

// Lists keep up with the rows of Q or K that come at the end, or go.
export function growFurther({ further }, axes) {
  for (const { place, entry } of listsOf(further, axes)) further[place].push(entry(further[place].at(-1) ?? -1));
}

export function shrinkFurther({ further }, axes, index) {
  for (const { place } of listsOf(further, axes)) further[place].splice(index, 1);
}

const listsOf = (further, axes) => FURTHER.filter(({ place, axis }) => axes.includes(axis) && further[place] !== null);
