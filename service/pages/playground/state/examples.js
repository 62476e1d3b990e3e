// The worked examples of the service as states of the page.
import { parametersOf } from "../inputs/parameters.js";
import { furtherFrom } from "./further.js";
import { emptyMask, opening } from "./store.js";

const OPENING = ["honor-of-kings", "honor-of-kings-dragon"];

export const BOTH = "honor-of-kings-both";

export function stateOf(example, catalogue, language) {
  const { request } = example;
  const [query, key, value] = ["query", "key", "value"].map((axis) => (request[axis] ? slicesOf(request[axis]) : null));
  return {
    example: example.id,
    language,
    batch: 0,
    heads: headsOf(request),
    query,
    key,
    value,
    names: namesFrom(example),
    scoreModel: choiceOf(request.score_model, catalogue.scoreModels),
    normalizer: choiceOf(request.normalizer, catalogue.normalizers),
    mask: maskFrom(request.mask ?? {}, query[0].length, key[0].length),
    further: furtherFrom(request),
    focus: opening(),
    memory: null,
    panel: null,
    lesson: null,
  };
}

// The opening view: two situations, the same team mates, one row each.
export async function openingExample(load) {
  const [fight, dragon] = await Promise.all(OPENING.map(load));
  const names = (language) => ({
    ...fight.names?.[language],
    query: [...(fight.names?.[language].query ?? []), ...(dragon.names?.[language].query ?? [])],
  });
  const story = (language) => `${fight.story[language]}\n${dragon.story[language]}`;
  return {
    ...fight,
    id: BOTH,
    story: { zh: story("zh"), en: story("en") },
    request: { ...fight.request, query: [...fight.request.query, ...dragon.request.query] },
    names: { zh: names("zh"), en: names("en") },
  };
}

const slicesOf = (tensor) => flattened(Array.isArray(tensor[0][0]) ? structuredClone(tensor) : [structuredClone(tensor)]);

// Batch rows with heads in them.
const flattened = (slices) => (Array.isArray(slices[0][0][0]) ? slices.flat() : slices);

const headsOf = ({ query, key }) =>
  Array.isArray(query[0]?.[0]?.[0]) && query[0].length + key[0].length > 2 ? { query: query[0].length, key: key[0].length } : null;

function namesFrom({ names, request }) {
  return Object.fromEntries(
    ["query", "key", "feature", "value"].map((axis) => {
      const both = names?.zh[axis]?.map((zh, index) => ({ zh, en: names.en[axis][index] }));
      return [axis, both ?? request.labels?.[axis] ?? []];
    }),
  );
}

function choiceOf(choice, entries) {
  const { name, ...given } = typeof choice === "string" ? { name: choice } : (choice ?? { name: entries[0].name });
  const entry = entries.find((each) => each.name === name);
  return {
    name,
    parameters: Object.fromEntries(
      parametersOf(entry).map((parameter) => [parameter.name, given[parameter.name] ?? null]),
    ),
  };
}

function maskFrom(mask, queries, keys) {
  const found = { ...emptyMask(), offset: mask.offset ?? null };
  if (mask.allowed != null) return { ...found, kind: "custom", allowed: broadcast(mask.allowed, queries, keys) };
  if (mask.key_lengths) return { ...found, kind: "lengths", lengths: [...mask.key_lengths] };
  if (mask.window)
    return { ...found, kind: "window", left: mask.window.left ?? null, right: mask.window.right ?? null };
  return mask.causal ? { ...found, kind: "causal" } : found;
}

// One row of booleans stands for all queries, and one boolean for all pairs.
function broadcast(allowed, queries, keys) {
  const row = Array.isArray(allowed) ? allowed : [allowed];
  const rows = Array.isArray(row[0]) ? row : [row];
  return Array.from({ length: queries }, (_, row) =>
    Array.from({ length: keys }, (_, column) => rows[row % rows.length][column % rows[row % rows.length].length]),
  );
}
