// The top bar: which example, which language, and a link to the state on the screen.
import { byId, element, setAttributes, setText } from "./dom.js";
import { BOTH } from "../state/examples.js";
import { inLanguage, t } from "../words/i18n.js";
import { announce } from "./notices.js";
import { nameOfSlice } from "../words/slices.js";
import { batchesOf } from "../state/store.js";
import { showToast } from "./toast.js";

// `examples` are the ids and titles of the service; `on` holds example(id), language(name), batch(index), share().
export function createToolbar(examples, on) {
  const picker = byId("example");
  const batch = byId("batch");
  picker.append(...[BOTH, ...examples.map(({ id }) => id)].map((id) => element("option", { value: id })));
  picker.addEventListener("change", () => on.example(picker.value));
  batch.addEventListener("change", () => on.batch(Number(batch.value)));
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => on.language(button.dataset.language));
  }
  byId("share").addEventListener("click", on.share);

  return {
    update(state) {
      const titles = new Map(examples.map(({ id, title }) => [id, inLanguage(title)]));
      titles.set(BOTH, t("example.both"));
      for (const option of picker.options) setText(option, titles.get(option.value));
      picker.value = state.example ?? "";
      for (const button of document.querySelectorAll("[data-language]")) {
        setAttributes(button, { "aria-pressed": String(button.dataset.language === state.language) });
      }
      const count = batchesOf(state);
      byId("batch-field").hidden = count < 2;
      setText(byId("batch-label"), t(state.heads ? "batch.label_heads" : "batch.label"));
      if (batch.options.length !== count)
        batch.replaceChildren(...Array.from({ length: count }, (_, index) => element("option", { value: index })));
      [...batch.options].forEach((option, index) => setText(option, nameOfSlice(state, index)));
      batch.value = String(state.batch);
    },
  };
}

// The clipboard may be denied; then the link is shown, selected, to be copied by hand.
export async function offerLink(address) {
  const field = byId("share-link");
  const box = byId("share-box");
  try {
    await navigator.clipboard.writeText(address);
    box.hidden = true;
    showToast(t("share.copied"));
  } catch {
    box.hidden = false;
    field.value = address;
    field.focus();
    field.select();
    announce(t("share.select"));
  }
}
