// The lesson: which step is shown, what the answer to its question is worth, and the parts of the page it is about.
//
// state.lesson is null or {step, answer, before}.  The answer is null, the index of a choice, a number, or "shown";
// `before` holds the weights of the first query when it was given.
import { byId, setAttributes } from "../page/dom.js";
import { computedBy, sameNumbers } from "../state/content.js";
import { stateOf } from "../state/examples.js";
import { sizesOf } from "../state/store.js";
import { loadViews } from "../views/loading.js";
import { t } from "../words/i18n.js";
import { namesOf } from "../words/names.js";
import { formatNumber } from "../words/numbers.js";
import { createLessonPanel } from "./panel.js";
import { cover, enter, highlight, scrollTo } from "./parts.js";
import { applySettings } from "./settings.js";
import { STEPS } from "./steps.js";

const TOLERANCE = 0.01;

// `exampleOf` fetches an example.  `replace(make)` takes over what `make` promises, {state, example}; `bringBack` does so
// with the state that the lesson took the place of.  Both promise whether nothing else came first.
export function createLesson({ store, catalogue, exampleOf, replace, bringBack }) {
  const panel = createLessonPanel({ go: (by) => go(store.get().lesson.step + by), leave, answer, look, reset });
  const learn = byId("learn");
  const loaded = new Map();
  const awaited = new Set();
  let latest = 0;
  let phase = "";
  let shown = null;

  learn.addEventListener("click", () => (store.get().lesson ? leave() : go(latest)));

  // What a step begins with, and what makes others of it.
  async function load(index) {
    if (!loaded.has(index)) {
      await loadViews();
      const { examples, begin = {}, reveal = {} } = STEPS[index];
      const found = await Promise.all(examples.map(exampleOf));
      const states = found.map((example) => stateOf(example, catalogue, store.get().language));
      const state = { ...structuredClone(states[0]), lesson: { step: index, answer: null, before: null } };
      applySettings(state, begin, states, catalogue);
      const revealed = structuredClone(state);
      applySettings(revealed, reveal, states, catalogue);
      const [begun, ended] = [state, revealed].map(computedBy);
      loaded.set(index, { state, states, example: found[0], begun, ended, sizes: JSON.stringify(sizesOf(state)) });
    }
    return loaded.get(index);
  }

  const copyOf = ({ state }) => ({ ...structuredClone(state), language: store.get().language });

  async function go(index) {
    if (index === STEPS.length) {
      await leave();
      latest = 0;
      return;
    }
    const make = async () => {
      const step = await load(index);
      return { state: copyOf(step), example: step.example };
    };
    if (await replace(make)) panel.focus();
  }

  function reset() {
    return go(store.get().lesson.step);
  }

  async function leave() {
    if (await bringBack()) learn.focus();
  }

  function answer(given) {
    const { step } = store.get().lesson;
    const before = shown.numbers.weights[0].map((weight) => (Number.isFinite(weight) ? weight : 0));
    store.change((draft) => {
      draft.lesson = { step, answer: given, before };
      applySettings(draft, STEPS[step].reveal ?? {}, loaded.get(step).states, catalogue);
    });
  }

  function look() {
    enter(partOf(store.get().lesson));
  }

  // The examples of a step to which a link or the history has led.
  async function fetchStep(index) {
    if (awaited.has(index)) return;
    awaited.add(index);
    try {
      await load(index);
      if (store.get().lesson?.step === index) update(store.get(), shown);
    } finally {
      awaited.delete(index);
    }
  }

  function update(state, result) {
    shown = result;
    const { lesson } = state;
    setAttributes(learn, { "aria-pressed": String(Boolean(lesson)) });
    highlight(lesson && partOf(lesson));
    cover(lesson?.answer === null ? (STEPS[lesson.step].covered ?? []) : [], lesson && t("lesson.covered"));
    if (!lesson) {
      // Also before the first answer, when nothing was scrolled to yet.
      panel.close();
      phase = "";
      return;
    }
    latest = lesson.step;
    const known = loaded.get(lesson.step);
    if (!known) fetchStep(lesson.step).catch(() => {});
    const isCurrent = Boolean(known && isOf(state, shown));
    panel.update({ ...modelOf(state, known, isCurrent), isReady: isCurrent });
    lead(lesson, isCurrent);
  }

  function modelOf(state, known, isCurrent) {
    const { step: index, answer: given } = state.lesson;
    const step = STEPS[index];
    const isEdited = Boolean(known) && computedBy(state) !== (given === null ? known.begun : known.ended);
    const isJudged = isCurrent && given !== null && JSON.stringify(sizesOf(state)) === known.sizes;
    const found = isJudged ? judge(step, state, shown.numbers) : { right: null, verdict: null };
    const part = partOf(state.lesson);
    return { index, count: STEPS.length, step, part, isEdited, answer: given, choices: choicesOf(step, state), ...found };
  }

  // Once in each phase of a step, when its result is there.
  function lead(lesson, isCurrent) {
    const next = `${lesson.step} ${lesson.answer !== null}`;
    if (!isCurrent || next === phase) return;
    phase = next;
    byId("explain").scrollTop = 0;
    requestAnimationFrame(() => {
      panel.measure();
      scrollTo(partOf(lesson));
    });
  }

  // The lesson as a link gives it to others, who have answered nothing yet.
  async function forOthers() {
    const state = store.get();
    if (!state.lesson || state.lesson.answer === null) return state;
    return copyOf(await load(state.lesson.step));
  }

  return { update, forOthers };
}

const partOf = ({ step, answer }) => STEPS[step].parts[answer === null ? 0 : 1];

const isOf = (state, shown) => Boolean(shown?.numbers.weights) && !shown.isPreview && sameNumbers(shown.state, state);

function choicesOf({ name, choices }, state) {
  if (choices === null) return null;
  if (typeof choices === "number") return Array.from({ length: choices }, (_, index) => t(`lesson.${name}.choice_${index}`));
  const { keys, valueFeatures } = sizesOf(state);
  return namesOf(state, choices, choices === "key" ? keys : valueFeatures);
}

function judge({ name, choices, right, said }, state, numbers) {
  const { answer, before } = state.lesson;
  const expected = right(numbers, before, state);
  const isRight = choices === null ? Math.abs(answer - expected) <= TOLERANCE * Math.max(1, Math.abs(expected)) : answer === expected;
  const values = Object.entries(said(numbers, before, state)).map(([key, value]) => [
    key,
    typeof value === "number" ? formatNumber(value) : value,
  ]);
  return {
    right: choices === null ? null : expected,
    verdict: {
      judgement: answer === "shown" ? null : isRight ? "right" : "wrong",
      said: t(`lesson.${name}.said`, Object.fromEntries(values)),
    },
  };
}
