// Comparisons that take one click.  Each sets A, and B from A.
import { cellMaskOf, positionsOf } from "../../asking/request.js";
import { isVisible } from "../../reference/visibility.js";
import { defaultParameters } from "../../state/defaults.js";
import { toggleKey } from "../../state/edits.js";
import { emptyMask, sizesOf } from "../../state/store.js";
import { differencesFrom, editable } from "./settings.js";

const ENTRIES = { scoreModel: "scoreModels", normalizer: "normalizers" };

const choose =
  (choice, chosen, parameters = {}) =>
  (draft, catalogue) => {
    const entry = catalogue[ENTRIES[choice]].find(({ name }) => name === chosen);
    const known = draft[choice].name === chosen ? draft[choice].parameters : defaultParameters(entry, draft);
    draft[choice] = { name: chosen, parameters: { ...known, ...parameters } };
  };

const softmax = (parameters) => choose("normalizer", "softmax", parameters);

// With a formula the browser does not know what it hides.
function hidesAny(state) {
  const { queries, keys } = sizesOf(state);
  const [mask, positions] = [cellMaskOf(state), positionsOf(state)];
  const hides = (cell) => !isVisible(mask, Math.floor(cell / keys), cell % keys, positions);
  return state.further["mask/formula"] !== null || [...Array(queries * keys).keys()].some(hides);
}

function hideFocusedKey(draft) {
  if (!hidesAny(draft)) toggleKey(draft, draft.focus.key);
}

function removeMask(draft) {
  draft.mask = emptyMask();
  for (const place of Object.keys(draft.further)) if (place.startsWith("mask/")) draft.further[place] = null;
}

// The diagonal ends in the last key, or begins in the first.
const causalAt = (offsetOf) => (draft) => {
  draft.mask = { ...emptyMask(), kind: "causal", offset: offsetOf(sizesOf(draft)) };
  Object.assign(draft.further, { "positions/query": null, "positions/key": null });
};

const always = () => true;

const hasPairs = (state) => sizesOf(state).queryFeatures === sizesOf(state).keyFeatures;

export const PRESETS = [
  {
    name: "scaled",
    isPossible: hasPairs,
    a: choose("scoreModel", "scaled_dot_product", { scale: null }),
    b: choose("scoreModel", "dot_product"),
  },
  { name: "sparsemax", isPossible: always, a: softmax(), b: choose("normalizer", "sparsemax") },
  { name: "proportional", isPossible: always, a: softmax(), b: choose("normalizer", "proportional") },
  { name: "temperature", isPossible: always, a: softmax({ temperature: 0.5 }), b: softmax({ temperature: 2 }) },
  { name: "masked", isPossible: always, a: hideFocusedKey, b: removeMask },
  {
    name: "corners",
    isPossible: (state) => sizesOf(state).queries !== sizesOf(state).keys,
    a: causalAt(({ queries, keys }) => keys - queries),
    b: causalAt(() => null),
  },
];

// `draft` is a state with this view open.
export function applyPreset({ a, b }, draft, catalogue) {
  a(draft, catalogue);
  const other = editable(draft);
  b(other, catalogue);
  draft.panel.options.b = differencesFrom(draft, other);
}

// Whether a state is what the preset would make of it.
export function isApplied(preset, state, catalogue) {
  const draft = { ...editable(state), panel: { options: {} } };
  applyPreset(preset, draft, catalogue);
  const isUnchanged = Object.keys(differencesFrom(state, draft)).length === 0;
  return isUnchanged && JSON.stringify(draft.panel.options.b) === JSON.stringify(state.panel.options.b);
}
