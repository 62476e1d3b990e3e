// A whole request that was pasted, as a state of the page.
import { requestOf } from "../asking/request.js";
import { NAME_LIMIT } from "../words/names.js";
import { stateOf } from "./examples.js";
import { plainForm } from "./request_forms.js";
import { documentOf } from "./share.js";
import { LIMIT } from "./store.js";
import { readShared } from "./validate.js";

const FIELDS = [
  ...["query", "key", "value", "past_key", "past_value", "heads", "layout", "score_model", "normalizer", "mask"],
  ...["softcap", "bias", "position", "positions", "score_modifier", "dtype", "labels"],
];

// What to answer with: the page asks for what it shows.
const IGNORED = ["include", "top_k", "$schema"];

// What these hold is shown field by field, and each field has to be one that the page has.
const MEMBERS = ["score_model", "normalizer", "mask", "score_modifier", "position", "positions"];

const fieldsProblem = (fields) => ({ problem: { key: "problem.paste_fields", values: { fields: fields.join(", ") } } });

const nameOf = (choice) => (typeof choice === "string" ? choice : choice?.name);

// Members that may be written as a name alone.
const NAMED = ["score_model", "normalizer", "position"];

// The fields of members that `asked`, the request of the state, has lost.  Null, false and 0 stand for a field that is left out.
const lostFields = (pasted, asked) =>
  MEMBERS.flatMap((member) => {
    if (typeof pasted[member] === "string") return NAMED.includes(member) ? [] : [member];
    return Object.entries(pasted[member] ?? {})
      .filter(([name, value]) => value !== null && value !== false && value !== 0 && !(name in (asked[member] ?? {})))
      .map(([name]) => `${member}/${name}`);
  });

// Returns {state}, or {problem} as a report has it.
export function stateFromRequest(pasted, catalogue, current) {
  const unknown = Object.keys(pasted).filter((name) => pasted[name] !== null && ![...FIELDS, ...IGNORED].includes(name));
  if (unknown.length) return fieldsProblem(unknown);
  const known = [
    [pasted.score_model, catalogue.scoreModels],
    [pasted.normalizer, catalogue.normalizers],
  ].every(([choice, entries]) => choice == null || entries.some(({ name }) => name === nameOf(choice)));
  try {
    if (!known) throw new TypeError("unknown name");
    const request = plainForm(pasted);
    const state = stateOf({ id: current.example, request }, catalogue, current.language);
    for (const [axis, labels] of Object.entries(request.labels ?? {}))
      state.names[axis] = labels.slice(0, LIMIT).map((label) => String(label).slice(0, NAME_LIMIT));
    const read = readShared(JSON.parse(JSON.stringify(documentOf(state))), catalogue, [current.example]);
    const lost = lostFields(pasted, requestOf(read));
    return lost.length ? fieldsProblem(lost) : { state: read };
  } catch {
    return { problem: { key: "problem.paste_request", values: { limit: LIMIT } } };
  }
}
