// The story of the example.  Its sentences are about the numbers of the example: when these have been changed, or belong
// to no example, it gives way to what the numbers say now.
import { byId, element, setText } from "./dom.js";
import { setMathText } from "./math_text.js";
import { BOTH } from "../state/examples.js";
import { computedBy } from "../state/content.js";
import { inLanguage, t } from "../words/i18n.js";

const MAX_SENTENCES = 6;

// Whether the numbers began as those of an example; a link may hold others.
const hasExample = (state) => state.example !== null;

// `stateOf` gives the state that an example begins with; `restore` goes back to it.
export function createStory(first, { stateOf, restore }) {
  let example = null;
  let computed = "";
  let called = "";
  let written = "";
  const now = element("ul", { class: "story-now" });
  const again = element("button", { type: "button", class: "tool", "data-action": "restore" });
  const note = element("p", { class: "story-note" }, element("span"), again);
  const title = element("summary");
  const text = element("div");
  const before = element("details", { class: "story-before" }, title, text);
  byId("story-text").append(note, now, before, element("div", { class: "story-own" }));
  again.addEventListener("click", () => restore(example.id));

  function tell(next) {
    example = next;
    const began = stateOf(next);
    computed = computedBy(began);
    called = JSON.stringify(began.names);
    before.open = false;
    written = "";
  }

  function write(state) {
    const key = `${state.language} ${hasExample(state) ? example.id : ""}`;
    if (key === written) return;
    written = key;
    setText(byId("story-title"), titleFor(state));
    setText(note.firstChild, t("story.changed"));
    setText(again, t("story.restore"));
    setText(title, t("story.before"));
    const lines = () =>
      inLanguage(example.story)
        .split("\n")
        .map((line) => {
          const paragraph = element("p");
          setMathText(paragraph, line);
          return paragraph;
        });
    text.replaceChildren(...lines());
    byId("story-text").lastChild.replaceChildren(...lines());
  }

  function titleFor(state) {
    if (!hasExample(state)) return t("story.own");
    return example.id === BOTH ? t("example.both") : inLanguage(example.title);
  }

  tell(first);
  return {
    tell,
    // Whether numbers or names are others than the example began with.
    isEdited: (state) => computedBy(state) !== computed || JSON.stringify(state.names) !== called,
    // `sentences` says of each query what the numbers on the screen say.
    update(state, sentences) {
      write(state);
      const changed = !hasExample(state) || computedBy(state) !== computed;
      // What stands below keeps its place while numbers change.
      const root = byId("story-text");
      if (changed && now.hidden) root.style.minHeight = `${root.offsetHeight}px`;
      if (!changed) root.style.minHeight = "";
      now.hidden = !changed;
      for (const part of [note, before]) part.hidden = !changed || !hasExample(state);
      byId("story-text").lastChild.hidden = changed;
      if (!changed) return;
      const shown = sentences.slice(0, MAX_SENTENCES);
      if ([...now.children].map(({ textContent }) => textContent).join("\n") === shown.join("\n")) return;
      now.replaceChildren(...shown.map((sentence) => element("li", {}, sentence)));
    },
  };
}
