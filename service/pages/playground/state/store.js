// The state of the page, in one plain object; every change makes a new object and calls the subscribers.
import { leadingOf, sliceAt } from "./slices.js";

export const LIMIT = 128;

export const NUMBERS_LIMIT = 32;

export const emptyMask = () => ({ kind: "none", offset: null, left: 1, right: 0, lengths: [], allowed: null });

export const opening = () => ({ stage: "weights", row: 0, key: 0, column: 0 });

export function createStore(initial) {
  let state = initial;
  let held = null;
  let counted = initial.loaded;
  const listeners = [];
  const settled = [];

  function replace(next) {
    const previous = state;
    state = { ...next, focus: inside(next) };
    for (const listener of listeners) listener(state, previous);
  }

  return {
    get: () => state,
    subscribe: (listener) => listeners.push(listener),
    // Another example, link or state of the past: every field is filled anew.
    load: (next) => replace({ ...next, loaded: (counted += 1) }),
    // While a number is being dragged its values are of passage: the service is asked about the one it comes to rest at.
    // `by` is what moves it, "drag" or "keys".
    hold(by = "drag") {
      held = by;
    },
    release() {
      if (!held) return;
      const by = held;
      held = null;
      for (const listener of settled) listener(by);
    },
    heldBy: () => held,
    onRelease: (listener) => settled.push(listener),
    // The focus moves often; nothing else is copied for it.
    focus: (focus) => replace({ ...state, focus }),
    change(edit) {
      const draft = structuredClone(state);
      edit(draft);
      // What has stayed the same stays the same object, so that a comparison of parts is one of references.
      for (const name of Object.keys(draft)) if (isSame(draft[name], state[name])) draft[name] = state[name];
      replace(draft);
    },
  };
}

const isSame = (one, other) => one === other || JSON.stringify(one) === JSON.stringify(other);

// Whether two states differ in nothing but the focus.
export const onlyFocusMoved = (state, previous) =>
  Object.keys(state).every((name) => name === "focus" || state[name] === previous[name]);

// Of several leading slices the page shows one; what has only one slice is shared by all.
export const sliceOf = (state, axis) => {
  const slices = state[axis];
  return slices && slices[slices.length > 1 ? sliceAt(state, axis, state.batch) : 0];
};

// Whether keys and values are those of a memory whose numbers the page does not have.
export const isLarge = ({ memory }) => memory?.status === "large";

export function batchesOf(state) {
  if (isLarge(state)) return Math.max(state.query.length, state.memory.slices);
  const { rows, heads } = leadingOf(state);
  return rows * heads;
}

export function sizesOf(state) {
  const query = sliceOf(state, "query");
  return { queries: query.length, queryFeatures: query[0].length, ...keySizesOf(state) };
}

function keySizesOf(state) {
  if (isLarge(state)) {
    const { keys, shape } = state.memory.about;
    const [keyFeatures, valueFeatures] = [shape.key.at(-1), shape.value?.at(-1) ?? 0];
    return { keys, values: shape.value ? keys : 0, keyFeatures, valueFeatures };
  }
  const [key, value] = ["key", "value"].map((axis) => sliceOf(state, axis));
  return {
    keys: key.length,
    values: value?.length ?? 0,
    keyFeatures: key[0].length,
    valueFeatures: value?.[0].length ?? 0,
  };
}

// A focus survives edits, but never points to a row that is gone.
function inside(state) {
  const { queries, keys, valueFeatures } = sizesOf(state);
  const { stage, row, key, column } = state.focus;
  return {
    stage: stage === "output" && !valueFeatures ? "weights" : stage,
    row: Math.min(row, queries - 1),
    key: Math.min(key, keys - 1),
    column: Math.max(0, Math.min(column, valueFeatures - 1)),
  };
}
