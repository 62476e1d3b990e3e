// B, the other setting on the same numbers: the parts in which it differs from A, which is the state of the page.
import { fitParameters } from "../../state/defaults.js";
import { fitMask } from "../../state/edits.js";
import { FURTHER } from "../../state/further.js";
import { sizesOf } from "../../state/store.js";

const PARTS = ["scoreModel", "normalizer", "mask"];

export const STAGES = ["weights", "scores", "output"];

const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export const openingOptions = () => ({ stage: "weights", b: {} });

export function readOptions({ stage, b }, expect, read) {
  expect(STAGES.includes(stage), "stage");
  expect(typeof b === "object" && b !== null && !Array.isArray(b), "B");
  expect(
    Object.keys(b).every((part) => [...PARTS, "further"].includes(part)),
    "part of B",
  );
  return { stage, b: Object.fromEntries(Object.entries(b).map(([part, given]) => [part, read[part](given)])) };
}

// The whole state of B.  Its tensors, mask and lists follow the sizes of Q and K.
export function stateOfB(state, b, catalogue) {
  const made = { ...state, ...b, further: { ...state.further, ...fittedFurther(b.further ?? {}, state) } };
  if (b.scoreModel) {
    const entry = catalogue.scoreModels.find(({ name }) => name === b.scoreModel.name);
    made.scoreModel = { ...b.scoreModel, parameters: fitParameters(entry, b.scoreModel.parameters, made) };
  }
  if (b.mask) {
    made.mask = { ...b.mask };
    fitMask(made);
  }
  return made;
}

function fittedFurther(given, state) {
  const { queries, keys } = sizesOf(state);
  const lengths = { query: queries, key: keys };
  const fitted = { ...given };
  for (const { place, axis, entry } of FURTHER) {
    if (!axis || !given[place]) continue;
    const list = given[place].slice(0, lengths[axis]);
    while (list.length < lengths[axis]) list.push(entry(list.at(-1) ?? -1));
    fitted[place] = list;
  }
  return fitted;
}

// The parts in which a state differs from that of A.
export function differencesFrom(a, state) {
  const parts = PARTS.filter((part) => !isSame(a[part], state[part])).map((part) => [part, state[part]]);
  const further = Object.entries(state.further).filter(([place, value]) => !isSame(a.further[place], value));
  return Object.fromEntries([...parts, ...(further.length ? [["further", Object.fromEntries(further)]] : [])]);
}

// A state whose settings can be edited; its numbers are those of the other.
export function editable(state) {
  const { scoreModel, normalizer, mask, further } = state;
  return { ...state, ...structuredClone({ scoreModel, normalizer, mask, further }) };
}

// `draft` is a state with this view open.
export function swap(draft, catalogue) {
  const a = editable(draft);
  const { scoreModel, normalizer, mask, further } = editable(stateOfB(draft, draft.panel.options.b, catalogue));
  Object.assign(draft, { scoreModel, normalizer, mask, further });
  draft.panel.options.b = differencesFrom(draft, a);
}
