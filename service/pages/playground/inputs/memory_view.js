// What the panel of memories looks like: a field for a name, a question if there is one, and the list.
import { element, setAttributes, setText } from "../page/dom.js";
import { t } from "../words/i18n.js";
import { aboutOf } from "../words/memories.js";

const QUESTIONS = {
  replace: { text: "memory.replace_question", yes: "memory.replace" },
  delete: { text: "memory.delete_question", yes: "memory.delete" },
};

// `on` holds keep(name), use(name), ask(question), answer(isYes), more(), retry().
export function createMemoryView(root, on) {
  const name = element("input", { type: "text", id: "memory-name", autocomplete: "off", spellcheck: "false" });
  const label = element("label", { for: "memory-name" });
  const keep = button("keep", () => on.keep(name.value.trim()));
  const form = element("div", { class: "keep" }, label, name, keep);
  const question = element("p");
  const [yes, no] = [button("yes", () => on.answer(true)), button("no", () => on.answer(false))];
  const asking = element("div", { class: "question", role: "group" }, question, yes, no);
  const said = element("p", { class: "said" });
  const error = createError(on.retry);
  const title = element("h4", { id: "memory-list-title" });
  const list = element("ul", { class: "memory-list", "aria-labelledby": title.id, tabindex: -1 });
  const none = element("p", { class: "empty" });
  const more = button("more", on.more);
  root.append(form, asking, said, error.root, title, list, none, more);
  let written = "";

  name.addEventListener("keydown", ({ key, isComposing }) => {
    if (key === "Enter" && !isComposing) on.keep(name.value.trim());
  });
  asking.addEventListener("keydown", ({ key }) => key === "Escape" && on.answer(false));

  function paintQuestion(asked) {
    asking.hidden = !asked;
    if (!asked) return;
    const { text, yes: words } = QUESTIONS[asked.kind];
    setText(question, t(text, asked));
    setAttributes(asking, { "aria-label": question.textContent });
    setText(yes, t(words));
    setText(no, t("memory.cancel"));
  }

  // Rows are made anew when they differ, and the button that had the focus has it again.
  function paintList(memories, used) {
    const next = JSON.stringify([memories, used, t("memory.use")]);
    if (next === written) return;
    written = next;
    const { action, name: held } = document.activeElement.closest?.(".memory-list button")?.dataset ?? {};
    list.replaceChildren(...(memories ?? []).map((memory) => rowOf(memory, memory.name === used, on)));
    if (action) (buttonOf(action, held) ?? list).focus();
  }

  const buttonOf = (action, held) =>
    [...list.querySelectorAll(`[data-action="${action}"]`)].find(({ dataset }) => dataset.name === held);

  return {
    // `shown` is what the panel knows; `used` is the name of the memory in use, or null.
    update(shown, { used, canKeep }) {
      const { memories, next, off, unlisted } = shown;
      const problem = shown.problem ?? unlisted;
      for (const part of [form, title, list]) part.hidden = Boolean(off);
      setText(label, t("memory.keep_as"));
      setText(keep, t("memory.keep"));
      setAttributes(name, { "aria-invalid": problem?.isOfName ? "true" : null });
      keep.disabled = !canKeep;
      paintQuestion(shown.question);
      said.hidden = !shown.said;
      setText(said, shown.said ? t(shown.said.key, shown.said.values) : "");
      error.update(off ?? problem, { canRetry: !off && unlisted?.key === "memory.away" });
      setText(title, t("memory.list"));
      none.hidden = memories?.length !== 0;
      setText(none, t("memory.none"));
      more.hidden = next === null;
      setText(more, t("memory.more"));
      paintList(memories, used);
    },
    focusAnswer: () => yes.focus(),
    focusAfter: (kind, held) => ((kind === "delete" && buttonOf("delete", held)) || name).focus(),
  };
}

function rowOf(memory, isUsed, on) {
  const { name } = memory;
  const use = button("use", () => on.use(name), name);
  const remove = button("delete", () => on.ask({ ...memory, kind: "delete" }), name);
  setText(use, t("memory.use"));
  setText(remove, t("memory.delete"));
  setAttributes(use, { "aria-label": t("memory.use_name", { name }), "aria-pressed": String(isUsed) });
  setAttributes(remove, { "aria-label": t("memory.delete_name", { name }) });
  const about = element("div", {}, element("b", { title: name }, name), element("small", {}, aboutOf(memory)));
  return element("li", { "data-name": name }, about, use, remove);
}

function button(action, act, name = null) {
  const made = element("button", { type: "button", class: "tool", "data-action": action, "data-name": name });
  made.addEventListener("click", act);
  return made;
}

// In the language of the page, and below it as the service says it.
function createError(retry) {
  const text = element("span");
  const detail = element("small", { lang: "en" });
  const again = button("retry", retry);
  const root = element("div", { class: "field-error" }, text, detail, again);
  return {
    root,
    update(found, { canRetry }) {
      root.hidden = !found;
      setText(text, found ? t(found.key, found.values) : "");
      setText(detail, found?.detail ?? "");
      setText(again, t("notice.retry"));
      again.hidden = !canRetry;
    },
  };
}
