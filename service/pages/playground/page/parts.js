// Holds the parts together: inputs change the state, the state is asked about, the answer is shown.
import { createAddress } from "../state/address.js";
import { Problem } from "../asking/api.js";
import { createAsking } from "../asking/conversation.js";
import { createChoice } from "../inputs/choices.js";
import { toggleCell, toggleKey } from "../state/edits.js";
import { BOTH, stateOf } from "../state/examples.js";
import { setLanguage } from "../words/i18n.js";
import { createKeyField } from "./key.js";
import { createFurtherFields } from "../inputs/further_fields.js";
import { createMaskFields } from "../inputs/mask_fields.js";
import { remember } from "../state/memory.js";
import { createMemories } from "./memories.js";
import { createNotices, noticeFor } from "./notices.js";
import { createReports } from "./reports.js";
import { createResults } from "../maps/results.js";
import { saidAfterToggle } from "../words/sayings.js";
import { createStore, onlyFocusMoved } from "../state/store.js";
import { createStory } from "./story.js";
import { createTensors } from "../inputs/tensors.js";
import { createTheme } from "./theme.js";
import { createToolbar, offerLink } from "./toolbar.js";

// `exampleOf` fetches an example by its id, `readLink` reads the fragment of the address.
export function createPage({ catalogue, examples, exampleOf, readLink, state: first, example: firstExample }) {
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
  const results = createResults({ catalogue, theme, on: { focus, toggle, toggleKey: toggleWholeKey } });
  const asking = createAsking({
    store,
    results,
    reports,
    notices,
    repaint: () => {
      paintInputs(store.get());
      reports.paint();
    },
    keyNeeded: keyField.show,
  });
  const story = createStory(firstExample);
  const memories = createMemories({ store, catalogue, reports, keyNeeded: keyField.show });
  const inputs = createInputs();
  const toolbar = createToolbar(examples, {
    example: loadExample,
    language: chooseLanguage,
    batch: chooseBatch,
    share,
  });
  let wanted = null;

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
    const tensors = createTensors({ store, entryOf: scoreModel.entryOf, report });
    const masks = createMaskFields({ store, report });
    return [tensors, scoreModel, normalizer, masks, createFurtherFields({ store, report })];
  }

  function paintInputs(state) {
    const context = { used: results.used(), pointed: reports.pointed() };
    toolbar.update(state);
    story.update(state);
    for (const input of inputs) input.update(state, context);
    memories.update(state);
  }

  function paint(state) {
    paintInputs(state);
    results.paint(state);
    asking.refresh();
  }

  async function loadExample(id) {
    wanted = id;
    results.mark("pending");
    try {
      const example = await exampleOf(id);
      if (wanted === id) take(stateOf(example, catalogue, store.get().language), example);
    } catch (error) {
      sayNotLoaded(error);
    }
  }

  async function takeLink() {
    const { shared, broken } = await readLink();
    if (broken) sayBroken("notice.link_ignored");
    if (!shared) return;
    try {
      take(shared, await exampleOf(shared.example ?? BOTH));
    } catch (error) {
      sayNotLoaded(error);
    }
  }

  // Another example or link replaces the whole state and its errors.
  function take(state, example) {
    story.tell(example);
    report.clear("");
    notices.set("link", null);
    asking.forget();
    store.replace({ ...state, loaded: store.get().loaded + 1 });
  }

  function sayNotLoaded(error) {
    results.mark("stale");
    toolbar.update(store.get());
    notices.set("problem", error instanceof Problem ? noticeFor(error) : { key: "notice.example", canClose: true });
  }

  function sayBroken(key) {
    notices.set("link", { key, canClose: true });
  }

  async function share() {
    await offerLink(await address.write());
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

  store.subscribe((state, previous) => {
    if (state.language !== previous.language) {
      setLanguage(state.language);
      for (const part of [theme, notices, reports]) part.paint();
    }
    if (onlyFocusMoved(state, previous)) results.paint(state);
    else paint(state);
  });
  const address = createAddress(store, { linked: takeLink });

  setLanguage(store.get().language);
  theme.paint();
  paint(store.get());
  return { sayBroken };
}
