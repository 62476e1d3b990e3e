// Every visible string, in the language that the reader has chosen.
import { TEXTS } from "./texts.js";

const TAGS = { zh: "zh-Hans", en: "en" };

let current = "en";

export const LANGUAGES = Object.keys(TEXTS);

export const language = () => current;

export function preferredLanguage() {
  const wanted = navigator.languages?.length ? navigator.languages : [navigator.language ?? ""];
  const known = wanted.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => tag in TEXTS);
  return known ?? "en";
}

export function setLanguage(next) {
  current = next;
  document.documentElement.lang = TAGS[next];
  document.title = t("title.page");
  for (const target of document.querySelectorAll("[data-text]")) target.textContent = t(target.dataset.text);
  for (const target of document.querySelectorAll("[data-label]"))
    target.setAttribute("aria-label", t(target.dataset.label));
  for (const target of document.querySelectorAll("[data-title]")) target.title = t(target.dataset.title);
}

export const has = (key) => key in TEXTS[current];

export function addTexts(parts) {
  for (const own of parts) for (const name of LANGUAGES) Object.assign(TEXTS[name], own[name]);
}

// {name} in a text stands for a value; a name that a person chose is never read as a placeholder itself.
export function t(key, values = {}) {
  const text = TEXTS[current][key];
  if (text === undefined) throw new Error(`no text ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// A text that the service sends in both languages, as {zh, en}.
export const inLanguage = (both) => both?.[current] ?? "";

// A description "English. 中文。" as the schemas hold it.
export function halfOf(description) {
  const first = description.search(/[\u3400-\u9fff]/);
  if (first < 0) return description;
  const start = description.lastIndexOf(". ", first) + 2;
  return (current === "zh" ? description.slice(start) : description.slice(0, start)).trim();
}
