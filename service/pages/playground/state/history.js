// Undo and redo: the states before each edit.  What follows quickly on the same part, as typing or a drag does, is one edit.
import { sameContent } from "./content.js";
import { isAwaited } from "./used_memory.js";

const MAX_EDITS = 200;

const MERGED_MILLISECONDS = 700;

// `changed` is called after every edit, undo and redo.
export function createHistory(store, changed) {
  const past = [];
  const future = [];
  let last = { part: null, time: 0 };
  let isTravelling = false;

  store.subscribe((state, previous) => {
    if (isTravelling || isAwaited(state) || isAwaited(previous) || sameContent(state, previous)) return;
    const part = partsChanged(state, previous);
    const now = performance.now();
    const merges = part === last.part && (store.isHeld() || now - last.time < MERGED_MILLISECONDS);
    last = { part, time: now };
    if (!merges) past.push(previous);
    if (past.length > MAX_EDITS) past.shift();
    future.length = 0;
    changed();
  });

  function travel(from, to) {
    const next = from.pop();
    if (!next) return;
    to.push(store.get());
    last = { part: null, time: 0 };
    isTravelling = true;
    store.load({ ...next, language: store.get().language });
    isTravelling = false;
    changed();
  }

  return {
    undo: () => travel(past, future),
    redo: () => travel(future, past),
    canUndo: () => past.length > 0,
    canRedo: () => future.length > 0,
    // The next edit stands alone, whatever came before.
    separate() {
      last = { part: null, time: 0 };
    },
  };
}

const PARTS = ["example", "query", "key", "value", "names", "scoreModel", "normalizer", "mask", "further", "memory"];

const partsChanged = (state, previous) =>
  PARTS.filter((part) => state[part] !== previous[part]).join();
