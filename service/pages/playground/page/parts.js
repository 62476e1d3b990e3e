// Holds the parts together: inputs change the state, the state is asked about, the answer is shown.
import { createAddress } from "../state/address.js";
import { sameContent } from "../state/content.js";
import { Problem } from "../asking/api.js";
import { createAsking } from "../asking/conversation.js";
import { createChoice } from "../inputs/choices.js";
import { toggleCell, toggleKey } from "../state/edits.js";
import { BOTH, stateOf } from "../state/examples.js";
import { setLanguage, t } from "../words/i18n.js";
import { byId } from "./dom.js";
import { createKeyField } from "./key.js";
import { createDragging } from "../inputs/drag.js";
import { createFurtherFields } from "../inputs/further_fields.js";
import { createMaskFields } from "../inputs/mask_fields.js";
import { parseBlock } from "../inputs/paste.js";
import { createLesson } from "../lesson/lesson.js";
import { remember } from "../state/memory.js";
import { createMemories } from "./memories.js";
import { createNotices, noticeFor } from "./notices.js";
import { createReports } from "./reports.js";
import { createResults } from "../maps/results.js";
import { saidAfterToggle } from "../words/sayings.js";
import { createHistory } from "../state/history.js";
import { stateFromRequest } from "../state/request_text.js";
import { createStore, onlyFocusMoved } from "../state/store.js";
import { createStory } from "./story.js";
import { createTensors } from "../inputs/tensors.js";
import { createTheme } from "./theme.js";
import { createSheet } from "../explain/sheet.js";
import { createToolbar, offerLink } from "./toolbar.js";
import { showToast } from "./toast.js";
import { createUndo, fieldOfTyping } from "./undo.js";
import { createViews } from "./views.js";

// `exampleOf` fetches an example by its id, `readLink` reads the fragment of the address.  `aside` is the state that a
// lesson took the place of before the page was loaded again, or null.
export function createPage({ catalogue, examples, exampleOf, readLink, state: first, example: firstExample, aside }) {
  const store = createStore({ ...first, loaded: 0 });
  const reports = createReports(() => {
    asking.refresh();
    reports.paint();
  });
  const { report } = reports;
  const notices = createNotices({ retry: () => asking.again() });
  const keyField = createKeyField(() => {
    memories.again();
    asking.again();
  });
  const theme = createTheme(() => results.paint(store.get()));
  const sheet = createSheet();
  const views = createViews({
    ...{ store, catalogue, theme, focus, chooseBatch },
    load: takeWhole,
    record: (edit) => history.record(edit),
  });
  const results = createResults({
    catalogue,
    theme,
    on: { focus, toggle, toggleKey: toggleWholeKey, painted },
  });
  const asking = createAsking({
    store,
    catalogue,
    results,
    reports,
    notices,
    repaint: () => {
      paintInputs(store.get());
      reports.paint();
    },
    keyNeeded: keyField.show,
  });
  const story = createStory(firstExample, {
    stateOf: (example) => stateOf(example, catalogue, "en"),
    restore: loadExample,
  });
  const history = createHistory(store, { changed: () => undo.update(), fieldOf: fieldOfTyping });
  const undo = createUndo(history);
  const lesson = createLesson({ store, catalogue, exampleOf, replace: replaceBy, bringBack });
  const memories = createMemories({ store, catalogue, reports, keyNeeded: keyField.show });
  const inputs = createInputs();
  const toolbar = createToolbar(examples, {
    example: loadExample,
    language: chooseLanguage,
    batch: chooseBatch,
    share,
  });
  const told = new Map([[first.example, firstExample]]);
  // Counts the examples, links and requests that were to replace the state: the reply to an earlier one is dropped.
  let newest = 0;
  // The reader's own state and edits, while a lesson is shown; null without one, or when a link began with the lesson.
  let own = aside && { state: aside, edits: history.bookmark() };

  // A state that was not here before, also one of the past: its example tells its story, and no field is wrong.
  function begin(state) {
    if (told.has(state.example)) story.tell(told.get(state.example));
    report.clear("");
  }

  function createInputs() {
    const { scoreModels, normalizers } = catalogue;
    const scoreModel = createChoice({
      choice: "scoreModel",
      field: "score_model",
      id: "score-model",
      entries: scoreModels,
      store,
      report,
    });
    const normalizer = createChoice({
      choice: "normalizer",
      field: "normalizer",
      id: "normalizer",
      entries: normalizers,
      store,
      report,
    });
    const tensors = createTensors({ store, entryOf: scoreModel.entryOf, report, takeRequest });
    const masks = createMaskFields({ store, report });
    return [tensors, scoreModel, normalizer, masks, createFurtherFields({ store, report, entryOf: scoreModel.entryOf })];
  }

  function paintInputs(state) {
    const context = { used: results.used(), pointed: reports.pointed() };
    toolbar.update(state);
    undo.update();
    story.update(state, results.sentences());
    for (const input of inputs) input.update(state, context);
    memories.update(state);
  }

  function paint(state) {
    paintInputs(state);
    results.paint(state);
    asking.refresh();
    story.update(state, results.sentences());
  }

  // Returns a function that says whether nothing else has been begun since.
  function begun() {
    const number = (newest += 1);
    return () => number === newest;
  }

  // Returns whether nothing else was begun while `work` waited; what it promises is given to `use`.
  async function whileAwaited(work, use) {
    const isWanted = begun();
    results.awaitExample(true);
    try {
      const made = await work();
      if (isWanted()) use(made);
    } catch (error) {
      if (isWanted()) sayNotLoaded(error);
      return false;
    }
    return isWanted();
  }

  function loadExample(id) {
    const use = (example) => take(inOpenView(stateOf(example, catalogue, store.get().language)), example);
    return whileAwaited(() => exampleOf(id), use);
  }

  function takeOver({ state, example }) {
    told.set(state.example, example);
    report.clear("");
    notices.set("link", null);
    replace(state);
  }

  function replaceBy(make) {
    return whileAwaited(make, takeOver);
  }

  // Back from the lesson: the state that it took the place of, with the edits that can be undone.
  function bringBack() {
    // Left already: the reader's own state is back, and nothing takes its place.
    if (!store.get().lesson) return Promise.resolve(false);
    const make = async () => {
      const example = await exampleOf(own?.state.example ?? BOTH);
      const { language } = store.get();
      return { state: own ? { ...own.state, language } : stateOf(example, catalogue, language), example };
    };
    return whileAwaited(make, (kept) => {
      const edits = own?.edits ?? { past: [], future: [] };
      own = null;
      takeOver(kept);
      history.restore(edits);
    });
  }

  // Other numbers are looked at in the view that is open; a link has its own.
  const inOpenView = (state) => ({ ...state, panel: store.get().panel });

  async function takeLink() {
    const isWanted = begun();
    results.awaitExample(true);
    try {
      const { shared, broken } = await readLink();
      if (!isWanted()) return;
      if (broken) sayBroken("notice.link_ignored");
      if (!shared) {
        stay();
        return;
      }
      const example = await exampleOf(shared.example ?? BOTH);
      if (isWanted()) take(shared, example);
    } catch (error) {
      if (isWanted()) sayNotLoaded(error);
    }
  }

  // Another example or link replaces the whole state and its errors; edits are not lost, and it says so.
  function take(state, example) {
    if (!state.lesson) endLesson();
    const hadEdits = story.isEdited(store.get());
    takeOver({ state, example });
    if (hadEdits) showToast(t("undo.replaced"), { label: t("bar.undo"), act: history.undo });
  }

  // Before a state without one takes the place of a lesson.
  function endLesson() {
    if (!store.get().lesson || !own) return;
    const { state, edits } = own;
    own = null;
    store.load({ ...state, language: store.get().language });
    history.restore(edits);
  }

  function replace(state) {
    if (state.lesson && !store.get().lesson) own = { state: store.get(), edits: history.bookmark() };
    asking.forget();
    history.separate();
    store.load(state);
    history.separate();
    results.awaitExample(false);
  }

  // A whole request that was pasted at a tensor, or where no field is; `said` is what the toast says of it.
  function takeRequest(place, request, said = "undo.pasted") {
    const { state, problem } = stateFromRequest(request, catalogue, store.get());
    if (!state) {
      report(place, { ...problem, blocks: false });
      return;
    }
    begun();
    endLesson();
    replace(inOpenView(state));
    showToast(t(said), { label: t("bar.undo"), act: history.undo });
  }

  function takeWhole(request, said) {
    takeRequest("query", request, said);
  }

  document.addEventListener("paste", (event) => {
    if (event.target.closest?.("input, textarea")) return;
    const block = parseBlock(event.clipboardData?.getData("text/plain") ?? "");
    if (block?.request) takeRequest("query", block.request);
  });

  // Nothing replaces the state: the result is what it was.
  function stay() {
    results.awaitExample(false);
    toolbar.update(store.get());
  }

  function sayNotLoaded(error) {
    stay();
    notices.set("problem", error instanceof Problem ? noticeFor(error) : { key: "notice.example", canClose: true });
  }

  function sayBroken(key) {
    notices.set("link", { key, canClose: true });
  }

  async function share() {
    const state = await lesson.forOthers();
    await offerLink(await (state === store.get() ? address.write() : address.linkTo(state)));
  }

  function chooseLanguage(language) {
    remember("language", language);
    store.change((draft) => {
      draft.language = language;
    });
  }

  function chooseBatch(batch) {
    store.change((draft) => {
      draft.batch = batch;
    });
  }

  function focus(stage, row, column) {
    const { focus: held } = store.get();
    const next = stage === "output" ? { ...held, stage, row, column } : { ...held, stage, row, key: column };
    if (JSON.stringify(next) !== JSON.stringify(held)) store.focus(next);
  }

  function toggle(row, key) {
    store.change((draft) => toggleCell(draft, row, key));
    asking.say((numbers) => saidAfterToggle(store.get(), numbers, key, [row]));
  }

  function toggleWholeKey(key) {
    store.change((draft) => toggleKey(draft, key));
    asking.say((numbers) => saidAfterToggle(store.get(), numbers, key, [...numbers.weights.keys()]));
  }

  function painted(state, shown) {
    views.update(state, shown);
    lesson.update(state, shown);
  }

  store.subscribe((state, previous) => {
    if (state.loaded !== previous.loaded) begin(state);
    if (!sameContent(state, previous)) reports.dropRefused();
    if (state.language !== previous.language) {
      setLanguage(state.language);
      for (const part of [theme, sheet, notices, reports]) part.paint();
    }
    if (onlyFocusMoved(state, previous)) results.paint(state);
    else paint(state);
  });
  createDragging(byId("inputs"), { hold: store.hold, release: store.release });
  store.onRelease(asking.refresh);
  const address = createAddress(store, { linked: takeLink, aside: () => (store.get().lesson ? (own?.state ?? null) : null) });

  setLanguage(store.get().language);
  theme.paint();
  sheet.paint();
  paint(store.get());
  return { sayBroken };
}
