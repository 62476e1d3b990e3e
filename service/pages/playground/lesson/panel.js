// The panel of the lesson: a step, its question, and what the page has to say about the answer.
import { announce } from "../page/notices.js";
import { byId, element, setAttributes, setStyle, setText } from "../page/dom.js";
import { setMathText } from "../page/math_text.js";
import { t } from "../words/i18n.js";
import { formatNumber, parseNumber } from "../words/numbers.js";
import { PARTS } from "./parts.js";

// `on` holds go(by), leave(), answer(choice, number or "shown"), look() and reset().
export function createLessonPanel(on) {
  const root = byId("lesson");
  const parts = {
    title: element("h2", { id: "lesson-title", tabindex: "-1" }),
    progress: element("span", { id: "lesson-progress" }),
    leave: button("leave", on.leave),
    text: element("p", { id: "lesson-text" }),
    question: element("div", { id: "lesson-question", role: "group", "aria-labelledby": "lesson-asked" }),
    verdict: element("div", { id: "lesson-verdict", tabindex: "-1" }),
    edited: element("p", { id: "lesson-edited" }, element("span"), button("reset", on.reset)),
    previous: button("previous", () => on.go(-1)),
    look: button("look", on.look),
    next: button("next", () => on.go(1)),
  };
  const { title, progress, leave, text, question, verdict, edited, previous, look, next } = parts;
  next.classList.add("primary");
  root.append(
    element("header", {}, title, progress, leave),
    element("div", { class: "lesson-body" }, element("div", {}, text, edited), element("div", {}, question, verdict)),
    element("footer", {}, previous, look, next),
  );
  let asked = "";
  let judged = "";

  // The page keeps free what the panel takes where it stays at the top.
  const measure = () => setStyle(document.documentElement, "--lesson", `${root.offsetHeight}px`);
  new ResizeObserver(measure).observe(root);

  function show(open) {
    root.hidden = !open;
    byId("story").hidden = open;
    document.documentElement.classList.toggle("learning", open);
    setAttributes(byId("learn"), { "aria-pressed": String(open) });
    if (!open) asked = "";
  }

  function paintQuestion(model) {
    const { step, choices, answer, right, isReady } = model;
    const called = `lesson.${step.name}.question`;
    const key = JSON.stringify([t(called), choices, answer, right, isReady]);
    if (key === asked) return;
    asked = key;
    question.replaceChildren(
      element("p", { id: "lesson-asked" }, element("b", {}, t("lesson.predict")), " ", t(called)),
      choices ? choicesOf(model) : numberOf(model),
    );
  }

  function choicesOf({ choices, answer, right, isReady }) {
    const isOpen = answer === null;
    const made = choices.map((choice, index) => {
      const mark = right === index ? "✓ " : right !== null && answer === index ? "✗ " : "";
      const pressed = element(
        "button",
        {
          type: "button",
          class: "choice",
          "aria-pressed": isOpen ? null : String(answer === index),
          "data-right": right === null ? null : String(right === index),
          disabled: !isOpen || !isReady,
        },
        `${mark}${choice}`,
      );
      pressed.addEventListener("click", () => give(index));
      return pressed;
    });
    return element("div", { class: "choices" }, ...made, isOpen ? skip(isReady) : null);
  }

  function numberOf({ answer, isReady }) {
    if (answer === "shown") return "";
    if (answer !== null) return element("p", {}, t("lesson.yours", { number: formatNumber(answer) }));
    const field = element("input", {
      ...{ type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false", "aria-labelledby": "lesson-asked" },
      "aria-describedby": "lesson-problem",
    });
    const problem = element("p", { id: "lesson-problem", class: "field-error", hidden: true });
    const check = element("button", { type: "submit", disabled: !isReady }, t("lesson.check"));
    const form = element("form", { class: "choices" }, field, check, skip(isReady));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const number = parseNumber(field.value);
      if (number !== null) return give(number);
      setText(problem, t("problem.parameter", { text: field.value }));
      problem.hidden = false;
      setAttributes(field, { "aria-invalid": "true" });
      announce(problem.textContent);
      return field.focus();
    });
    return element("div", {}, form, problem);
  }

  function skip(isReady) {
    const shown = element("button", { type: "button", class: "tool", "data-action": "show", disabled: !isReady }, t("lesson.show"));
    shown.addEventListener("click", () => give("shown"));
    return shown;
  }

  // The button that was pressed goes away, and the focus to the verdict.
  function give(answer) {
    on.answer(answer);
    verdict.focus({ preventScroll: true });
  }

  function paintVerdict({ answer, verdict: found }) {
    verdict.hidden = answer === null;
    const words = found === null ? [t("explain.pending")] : [...(found.judgement ? [t(`lesson.${found.judgement}`)] : []), found.said];
    const key = JSON.stringify([answer, words]);
    if (key === judged) return;
    judged = key;
    setAttributes(verdict, { "data-judgement": found?.judgement ?? null });
    const [first, last] = words.length > 1 ? words : [null, ...words];
    const said = element("p", {}, ...(first ? [element("b", {}, first), " "] : []));
    const rest = element("span");
    setMathText(rest, last);
    said.append(rest);
    verdict.replaceChildren(said);
    if (answer !== null && found) {
      announce(words.join(" "));
      verdict.scrollIntoView({ block: "nearest" });
    }
  }

  return {
    measure,
    close: () => show(false),
    // `model` holds index, count, step, choices, answer, right, verdict, part, isReady and isEdited.
    update(model) {
      const { index, count, step, part, isEdited } = model;
      setText(title, t(`lesson.${step.name}.title`));
      setText(progress, `${index + 1} / ${count}`);
      setAttributes(root, { "aria-label": t("lesson.step", { number: index + 1, count }) });
      setMathText(text, t(`lesson.${step.name}.text`));
      setText(leave, t("lesson.leave"));
      setText(previous, t("lesson.previous"));
      setText(look, t("lesson.look", { part: t(PARTS[part].text) }));
      setText(next, t(index + 1 < count ? "lesson.next" : "lesson.finish"));
      previous.disabled = index === 0;
      edited.hidden = !isEdited;
      setText(edited.firstChild, t("lesson.edited"));
      setText(edited.lastChild, t("lesson.reset"));
      show(true);
      paintQuestion(model);
      paintVerdict(model);
    },
    // A step begins at its title.
    focus() {
      root.scrollTop = 0;
      title.focus({ preventScroll: true });
    },
  };
}

function button(name, act) {
  const made = element("button", { type: "button", id: `lesson-${name}` });
  made.addEventListener("click", act);
  return made;
}
