// Text to the clipboard, and files to the disk.
import { element } from "./dom.js";
import { showToast } from "./toast.js";
import { t } from "../words/i18n.js";

// The clipboard may be denied; then `show` returns the element that shows the text, which is selected, to be copied by
// hand.
export async function copyText(text, show) {
  try {
    await navigator.clipboard.writeText(text);
    showToast(t("copy.done"));
  } catch {
    getSelection().selectAllChildren(show());
    showToast(t("copy.select"));
  }
}

export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  // The browser reads the address behind this click.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

// One of several choices as a group of buttons; `chosen` is called with its name.
export function createOptions(label, names, chosen) {
  const buttons = names.map((name) => element("button", { type: "button", "data-option": name }));
  buttons.forEach((button, index) => button.addEventListener("click", () => chosen(names[index])));
  const root = element("div", { class: "choices", role: "group" }, ...buttons);
  return {
    root,
    update(current, textOf) {
      root.setAttribute("aria-label", t(label));
      buttons.forEach((button, index) => {
        button.textContent = textOf(names[index]);
        button.setAttribute("aria-pressed", String(names[index] === current));
      });
    },
  };
}
