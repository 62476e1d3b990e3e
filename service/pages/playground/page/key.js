// The field for an API key; it appears when the service asks for one.
import { useKey } from "../asking/api.js";
import { byId } from "./dom.js";

const PAUSE_MILLISECONDS = 700;

// `changed` is called when another key is to be tried: at Enter, or when typing has paused.
export function createKeyField(changed) {
  const field = byId("api-key");
  let tried = "";
  let timer = null;

  function attempt() {
    clearTimeout(timer);
    if (field.value === tried) return;
    tried = field.value;
    useKey(field.value);
    changed();
  }

  field.addEventListener("change", attempt);
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(attempt, PAUSE_MILLISECONDS);
  });
  return {
    // The first time the field takes the focus, unless the reader is typing elsewhere.
    show() {
      const label = byId("key-field");
      if (!label.hidden) return;
      label.hidden = false;
      if (document.activeElement === document.body) field.focus();
    },
  };
}
