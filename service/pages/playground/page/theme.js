// Light or dark: as the system has it, until the reader decides otherwise.
import { byId, setAttributes } from "./dom.js";
import { t } from "../words/i18n.js";
import { recall, remember } from "../state/memory.js";

const system = matchMedia("(prefers-color-scheme: dark)");

export function createTheme(changed) {
  let chosen = ["light", "dark"].includes(recall("theme")) ? recall("theme") : null;
  const button = byId("theme");
  const current = () => chosen ?? (system.matches ? "dark" : "light");

  function apply() {
    setAttributes(document.documentElement, { "data-theme": current() });
    paint();
    changed();
  }

  function paint() {
    const label = t(current() === "dark" ? "bar.to_light" : "bar.to_dark");
    setAttributes(button, { "aria-label": label, title: label });
  }

  button.addEventListener("click", () => {
    chosen = current() === "dark" ? "light" : "dark";
    remember("theme", chosen);
    apply();
  });
  system.addEventListener("change", apply);
  setAttributes(document.documentElement, { "data-theme": current() });
  return { current, paint };
}
