// Messages above the results: the service is away, refuses, or a link was broken.
import { byId, element, setText } from "./dom.js";
import { has, t } from "../words/i18n.js";

// `notice` is {key, values, detail, canRetry, canClose} or null; each kind has a place of its own, which it keeps.
export function createNotices({ retry }) {
  const root = byId("notices");
  const shown = new Map();

  function create(kind) {
    const text = element("span");
    const detail = element("small", { lang: "en" });
    const again = element("button", { type: "button", class: "tool", "data-action": "retry" });
    const close = element("button", { type: "button", class: "tool", "data-action": "close" });
    again.addEventListener("click", retry);
    close.addEventListener("click", () => set(kind, null));
    const box = element("div", { class: "notice", "data-kind": kind }, element("p", {}, text, detail), again, close);
    root.append(box);
    return { box, text, detail, again, close };
  }

  function write({ parts, notice }) {
    setText(parts.text, t(notice.key, notice.values));
    setText(parts.detail, notice.detail ?? "");
    setText(parts.again, t("notice.retry"));
    setText(parts.close, t("notice.close"));
    parts.again.hidden = !notice.canRetry;
    parts.close.hidden = !notice.canClose;
  }

  function set(kind, notice) {
    const before = shown.get(kind);
    if (!notice) {
      before?.parts.box.remove();
      shown.delete(kind);
      return;
    }
    const next = { parts: before?.parts ?? create(kind), notice };
    shown.set(kind, next);
    write(next);
    if (before?.notice.key !== notice.key) announce(t(notice.key, notice.values));
  }

  return { set, paint: () => shown.forEach(write) };
}

export function noticeFor(problem) {
  const key = `problem.${problem.slug}`;
  return { key: has(key) ? key : "problem.other", detail: problem.detail, canRetry: true };
}

// One polite live region; saying the same thing twice says it twice.
export function announce(text) {
  const region = byId("announcer");
  if (region.textContent === text) setText(region, "");
  requestAnimationFrame(() => setText(region, text));
}
