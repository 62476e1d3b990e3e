// The story of the example, which can be folded away.
import { byId, element, setText } from "./dom.js";
import { BOTH } from "../state/examples.js";
import { inLanguage, t } from "../words/i18n.js";

export function createStory(first) {
  let example = first;
  let written = "";

  return {
    tell(next) {
      example = next;
    },
    update(state) {
      const key = `${state.language} ${example.id}`;
      if (key === written) return;
      written = key;
      setText(byId("story-title"), example.id === BOTH ? t("example.both") : inLanguage(example.title));
      byId("story-text").replaceChildren(
        ...inLanguage(example.story)
          .split("\n")
          .map((line) => element("p", {}, line)),
      );
    },
  };
}
