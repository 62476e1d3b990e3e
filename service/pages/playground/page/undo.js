// Undo and redo by keys and by buttons.
import { byId, setAttributes } from "./dom.js";
import { t } from "../words/i18n.js";

// In fields of text the browser's own undo goes back letter by letter; so it does where a number cannot be read.
const isText = (target) =>
  target.matches?.("textarea, .written input, #api-key, #share-link, #memory input, [aria-invalid='true']");

// The field that has the focus, if it is one that is typed into.
export function fieldOfTyping() {
  const field = document.activeElement;
  return field?.matches("textarea, input:not([type='range'])") ? field : null;
}

export function createUndo(history) {
  const buttons = { undo: byId("undo"), redo: byId("redo") };
  for (const [name, button] of Object.entries(buttons)) button.addEventListener("click", () => history[name]());
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || isText(event.target)) return;
    const key = event.key.toLowerCase();
    const name = key === "y" || (key === "z" && event.shiftKey) ? "redo" : key === "z" ? "undo" : null;
    if (!name) return;
    event.preventDefault();
    history[name]();
  });

  document.addEventListener("focusout", history.separate);
  // A pasted block is an edit between those that are typed: this is heard before the field and after it.
  for (const capture of [true, false]) document.addEventListener("paste", history.separate, { capture });

  return {
    update() {
      for (const [name, button] of Object.entries(buttons))
        setAttributes(button, { "aria-label": t(`bar.${name}`), title: t(`bar.${name}_title`) });
      buttons.undo.disabled = !history.canUndo();
      buttons.redo.disabled = !history.canRedo();
    },
  };
}
