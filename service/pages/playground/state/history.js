// Undo and redo: the states before each edit.  A drag is one edit, and so are the letters typed into a field until it is
// left.
import { sameContent } from "./content.js";
import { isAwaited } from "./used_memory.js";

const MAX_EDITS = 200;

// `changed` is called after every edit, undo and redo; `fieldOf` returns the field that is being typed into, or null.
export function createHistory(store, { changed, fieldOf }) {
  const past = [];
  const future = [];
  let last = null;
  let isTravelling = false;

  store.subscribe((state, previous) => {
    // What arrives of a memory belongs to the edit that chose it.
    if (isTravelling || isAwaited(previous) || sameContent(state, previous)) return;
    const source = store.isHeld() ? "drag" : fieldOf();
    const merges = source !== null && source === last;
    last = source;
    if (!merges) past.push(previous);
    if (past.length > MAX_EDITS) past.shift();
    future.length = 0;
    changed();
  });

  function travel(from, to) {
    const next = from.pop();
    if (!next) return;
    to.push(store.get());
    separate();
    isTravelling = true;
    const { language, panel } = store.get();
    store.load({ ...next, language, panel });
    isTravelling = false;
    changed();
  }

  // The next edit stands alone, whatever came before.
  function separate() {
    last = null;
  }

  // What lies before and behind the state, to be gone back to by `restore`.
  const bookmark = () => ({ past: [...past], future: [...future] });

  function restore(marked) {
    past.splice(0, past.length, ...marked.past);
    future.splice(0, future.length, ...marked.future);
    separate();
    changed();
  }

  store.onRelease(separate);

  return {
    undo: () => travel(past, future),
    redo: () => travel(future, past),
    canUndo: () => past.length > 0,
    canRedo: () => future.length > 0,
    separate,
    bookmark,
    restore,
  };
}
