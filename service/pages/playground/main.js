// Starts the page: what the service offers, then the link or the opening example, then the parts of the page.
import { get, Problem, Unreachable } from "./asking/api.js";
import { BOTH, openingExample, stateOf } from "./state/examples.js";
import { LANGUAGES, preferredLanguage, setLanguage } from "./words/i18n.js";
import { showBar, showWhenComplete } from "./page/arrival.js";
import { byId } from "./page/dom.js";
import { recall } from "./state/memory.js";
import { createNotices, noticeFor } from "./page/notices.js";
import { createPage } from "./page/parts.js";
import { BrokenLink, decodeShare } from "./state/share.js";
import { readShared } from "./state/validate.js";
import { loadViews } from "./views/loading.js";

const RETRY_MILLISECONDS = 2000;

const remembered = recall("language");
const language = LANGUAGES.includes(remembered) ? remembered : preferredLanguage();
setLanguage(language);

// What the page was sent with; the service answers for the rest.
const given = JSON.parse(byId("given").textContent || "{}");

const load = async (path) => given[path] ?? get(path);

const loadExample = (id) => load(`v1/examples/${encodeURIComponent(id)}`);

const exampleOf = (id) => (id === BOTH ? openingExample(loadExample) : loadExample(id));

function dropView(document, error) {
  if (!(error instanceof Unreachable) || document.l) throw error;
  document.t = null;
}

async function readLink(fragment, catalogue, examples) {
  if (fragment.length < 2) return { shared: null };
  try {
    const document = await decodeShare(fragment);
    // A view reads its own options, and steps of the lesson open views; without the views there are still the maps.
    if (document.t || document.l) await loadViews().catch((error) => dropView(document, error));
    return { shared: readShared(document, catalogue, [BOTH, ...examples.map(({ id }) => id)]) };
  } catch (error) {
    if (error instanceof BrokenLink) return { shared: null, broken: true };
    throw error;
  }
}

async function start() {
  const [scoreModels, normalizers, listed] = await Promise.all(
    ["v1/score-models", "v1/normalizers", "v1/examples"].map(load),
  );
  const catalogue = { scoreModels: scoreModels.score_models, normalizers: normalizers.normalizers };
  const read = (fragment) => readLink(fragment, catalogue, listed.examples);
  const { shared, broken } = await read(location.hash);
  // What the reader had before a lesson, which the history of the browser keeps over a reload.
  const { shared: aside } = await read(shared?.lesson ? (history.state?.aside ?? "") : "");
  const example = await exampleOf(shared ? (shared.example ?? BOTH) : BOTH);
  const page = createPage({
    catalogue,
    examples: listed.examples,
    exampleOf,
    readLink: () => read(location.hash),
    state: shared ?? stateOf(example, catalogue, language),
    example,
    aside,
  });
  showBar();
  if (broken) page.sayBroken("notice.link");
}

const notices = createNotices({ retry: () => location.reload() });

async function begin() {
  try {
    await start();
    notices.set("start", null);
  } catch (error) {
    if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
    notices.set("start", error instanceof Problem ? noticeFor(error) : { key: "notice.start", canRetry: true });
    setTimeout(begin, RETRY_MILLISECONDS);
  }
}

showWhenComplete();
await begin();
