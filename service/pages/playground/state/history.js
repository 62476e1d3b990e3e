// Undo and redo: the states before each edit.  A drag is one edit, and so are the letters typed into a field, and the
// steps of a slider by keys, until it is left.
import { sameContent } from "./content.js";
import { isAwaited } from "./used_memory.js";

const MAX_EDITS = 200;

// `changed` is called after every edit, undo and redo; `fieldOf` returns the field that is being typed into, or null.
export function createHistory(store, { changed, fieldOf }) {
  const past = [];
  const future = [];
  let last = null;
  let isTravelling = false;
  let isRecording = false;

  store.subscribe((state, previous) => {
    // What arrives of a memory belongs to the edit that chose it.
    if (isTravelling || isAwaited(previous)) return;
    const isOfView = changesView(state, previous);
    if (sameContent(state, previous) && !(isRecording && isOfView)) return;
    const source = store.heldBy() ?? fieldOf();
    const merges = source !== null && source === last;
    last = source;
    if (!merges) past.push({ state: previous, isOfView });
    if (past.length > MAX_EDITS) past.shift();
    future.length = 0;
    changed();
  });

  function travel(from, to) {
    const next = from.pop();
    if (!next) return;
    const { state, isOfView } = next;
    const { language, panel } = store.get();
    to.push({ state: store.get(), isOfView });
    separate();
    isTravelling = true;
    store.load({ ...state, language, panel: isOfView ? state.panel : panel });
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

  store.onRelease((by) => {
    if (by === "drag") separate();
  });

  return {
    undo: () => travel(past, future),
    redo: () => travel(future, past),
    canUndo: () => past.length > 0,
    canRedo: () => future.length > 0,
    separate,
    // An edit that can be undone although it may change nothing but the options of the open view.
    record(edit) {
      isRecording = true;
      store.change(edit);
      isRecording = false;
    },
    bookmark,
    restore,
  };
}

// Whether an edit has changed the options of the view that is open.
const changesView = (state, previous) => state.panel !== previous.panel && state.panel?.name === previous.panel?.name;
