// The state of B, as fields see the one of the page: an edit changes what B has of its own.
import { differencesFrom, editable } from "./settings.js";

// `get` returns the state of B; `record`, `hold` and `release` are those of the view, and `released` is called when a
// drag is over.
export function createStoreOfB({ get, record, hold, release, released }) {
  let isHeld = false;
  return {
    get,
    change(edit) {
      const draft = editable(get());
      edit(draft);
      record((state) => {
        state.panel.options.b = differencesFrom(state, draft);
      });
    },
    hold(by) {
      isHeld = true;
      hold(by);
    },
    release() {
      release();
      if (!isHeld) return;
      isHeld = false;
      released();
    },
    isHeld: () => isHeld,
  };
}
