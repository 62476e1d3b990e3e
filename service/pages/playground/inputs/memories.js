// The panel of memories: keep the keys and values of the page under a name, use one that is kept, delete one.
import { Problem, Unreachable } from "../asking/api.js";
import {
  createMemory,
  deleteMemory,
  describeMemory,
  isRefused,
  listMemories,
  loadMemory,
  replaceMemory,
} from "../asking/memories.js";
import { byId } from "../page/dom.js";
import { announce } from "../page/notices.js";
import { isLarge } from "../state/store.js";
import { MEMORY_NAME, bodyOf, fail, fill, isAwaited, pick, release } from "../state/used_memory.js";
import { has, t } from "../words/i18n.js";
import { aboutOf } from "../words/memories.js";
import { createMemoryView } from "./memory_view.js";

// `change` edits the state and fits what depends on the sizes of keys and values.
export function createMemoryPanel({ store, change, reports, keyNeeded }) {
  // `off` and problems are {key, values, detail}, `question` is {kind, name, version, keys}, `said` {key, values}.
  const shown = {
    ...{ memories: null, next: null, off: null, unlisted: null },
    ...{ problem: null, question: null, said: null },
  };
  const view = createMemoryView(byId("memory-panel"), { keep, use, ask, answer, more, retry: refresh });
  const queued = new Set();
  let last = Promise.resolve();

  function paint() {
    view.update(shown, { used: store.get().memory?.name ?? null, canKeep: hasNumbers(store.get()) });
  }

  function show(changes) {
    Object.assign(shown, changes);
    paint();
  }

  // One call at a time, the others behind it; `what` names a call, and what waits already is not asked for again: a second
  // click, or a press of Enter beside it.
  function attempt(what, call) {
    if (queued.has(what)) return last;
    queued.add(what);
    last = last.then(async () => {
      try {
        await call();
      } catch (error) {
        refuse(error, "problem");
      } finally {
        queued.delete(what);
      }
    }).catch(reportError);
    return last;
  }

  function refuse(error, place) {
    if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
    if (error.slug === "unauthorized") keyNeeded();
    const problem = wordsOf(error);
    show({ [place]: problem });
    announce(t(problem.key));
  }

  // A problem with one memory stays beside the list.
  async function list(after = null) {
    try {
      const { memories, next } = await listMemories(after);
      show({ memories: after === null ? memories : [...shown.memories, ...memories], next, off: null, unlisted: null });
    } catch (error) {
      if (error.slug !== "not-found") refuse(error, "unlisted");
      else show({ memories: null, next: null, off: { key: "memory.off", detail: error.detail } });
    }
  }

  async function say(key, values) {
    show({ question: null, said: { key, values } });
    announce(t(key, values));
    await list();
  }

  function refresh() {
    return attempt("list", () => list());
  }

  function more() {
    return attempt("more", () => shown.next && list(shown.next));
  }

  function keep(name) {
    if (!hasNumbers(store.get())) return;
    const problem = refusalOf(name);
    if (problem) {
      show({ problem, said: null });
      announce(t(problem.key, problem.values));
      return;
    }
    act(`keep ${name}`, async () => {
      try {
        await kept(await createMemory(name, bodyOf(store.get())));
      } catch (error) {
        if (!isRefused(error)) throw error;
        ask({ ...(await describeMemory(name)), kind: "replace" });
      }
    });
  }

  // A new action takes back the words about the one before.
  function act(what, call) {
    return attempt(what, () => {
      show({ problem: null, said: null });
      return call();
    });
  }

  function refusalOf(name) {
    if (!MEMORY_NAME.test(name)) return { key: "memory.name_wrong", values: { text: name }, isOfName: true };
    return ["key", "value"].some(reports.isUnreadable) ? { key: "memory.unreadable" } : null;
  }

  async function kept({ name, keys }) {
    if (store.get().memory?.name === name) use(name);
    await say("memory.kept", { name, keys });
  }

  function ask(question) {
    show({ question });
    view.focusAnswer();
  }

  // `isYes` says what the question was answered with.
  function answer(isYes) {
    const { kind, name, version } = shown.question;
    show({ question: null });
    view.focusAfter(kind, name);
    if (!isYes) return;
    act(`${kind} ${name}`, async () => {
      try {
        if (kind === "replace") await kept(await replaceMemory(name, bodyOf(store.get()), version));
        else await forget(name, version);
      } catch (error) {
        if (isRefused(error)) await list();
        throw error;
      }
    });
  }

  async function forget(name, version) {
    await deleteMemory(name, version);
    if (store.get().memory?.name === name) change(release);
    await say("memory.deleted", { name });
  }

  function use(name) {
    store.change((draft) => pick(draft, name));
  }

  const isWanted = (name) => store.get().memory?.name === name && store.get().memory.status === "loading";

  async function load(name) {
    try {
      const { about, contents } = await loadMemory(name);
      if (!isWanted(name)) return;
      change((draft) => fill(draft, about, contents));
      show({ problem: null });
      announce(t("memory.used", { name, about: aboutOf(about) }));
    } catch (error) {
      if (!isWanted(name)) return;
      store.change(fail);
      byId("memory").open = true;
      refuse(error, "problem");
    }
  }

  return { refresh, load, update: paint };
}

// Whether the page has the keys and values of the state.
const hasNumbers = (state) => !isAwaited(state) && !isLarge(state);

function wordsOf(error) {
  if (error instanceof Unreachable) return { key: "memory.away" };
  const key = error.slug === "not-found" ? "problem.memory_gone" : `problem.${error.slug}`;
  return { key: has(key) ? key : "problem.other", detail: error.detail };
}
