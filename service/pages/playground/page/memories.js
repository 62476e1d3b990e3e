// Memories on the page: which one is used, and the way back.  The panel itself is built when it is opened, or when a
// link names a memory.  It is no module that is fetched then: some browsers never fetch one again that failed once.
import { createMemoryPanel } from "../inputs/memories.js";
import { fitMask } from "../state/edits.js";
import { fitParameters } from "../state/defaults.js";
import { pick, release } from "../state/used_memory.js";
import { t } from "../words/i18n.js";
import { aboutOf } from "../words/memories.js";
import { byId, setText } from "./dom.js";

// `keyNeeded` is called when the service does not know who asks, and `reports` know which fields cannot be read.
export function createMemories({ store, catalogue, reports, keyNeeded }) {
  const root = byId("memory");
  const bar = byId("memory-used");
  const [text, back] = bar.children;
  let panel = null;
  let loading = null;

  // Another memory has other sizes.
  function change(edit) {
    store.change((draft) => {
      edit(draft);
      fitMask(draft);
      const entry = catalogue.scoreModels.find(({ name }) => name === draft.scoreModel.name);
      draft.scoreModel.parameters = fitParameters(entry, draft.scoreModel.parameters, draft);
    });
  }

  function opened() {
    panel ??= createMemoryPanel({ store, change, reports, keyNeeded });
    return panel;
  }

  root.addEventListener("toggle", () => root.open && opened().refresh());
  back.addEventListener("click", () => {
    change(release);
    byId("memory-title").focus();
  });

  return {
    update(state) {
      const { memory } = state;
      setText(byId("memory-title"), t("memory.title"));
      bar.hidden = !memory;
      if (memory) {
        const about = memory.about && aboutOf(memory.about);
        setText(text, t(about ? "memory.used" : `memory.${memory.status}`, { name: memory.name, about }));
        setText(back, t("memory.release"));
      }
      panel?.update();
      const name = memory?.status === "loading" ? memory.name : null;
      if (name !== null && name !== loading) opened().load(name);
      loading = name;
    },
    // The service may know now who asks.
    again() {
      if (store.get().memory?.status === "failed") store.change((draft) => pick(draft, draft.memory.name));
      if (root.open) opened().refresh();
    },
  };
}
