// Everything that follows from an answer: heat maps, formula, explanation and the check.
import { byId, setAttributes, setText } from "../page/dom.js";
import { decide } from "../explain/decision.js";
import { createExplain } from "../explain/panel.js";
import { createExplaining } from "../asking/explaining.js";
import { sliceRequestOf } from "../asking/request.js";
import { createFormula } from "./formula.js";
import { language, t } from "../words/i18n.js";
import { namesOf } from "../words/names.js";
import { createPipeline } from "./pipeline.js";
import { createRanking } from "./ranking.js";
import { createVerification } from "./verification.js";
import { sizesOf } from "../state/store.js";

// `on.painted` is called with the state and the result on the screen, null before the first.
export function createResults({ catalogue, theme, on }) {
  const pipeline = createPipeline(on);
  const formula = createFormula(catalogue);
  const explain = createExplain(on);
  const verification = createVerification();
  const ranking = createRanking();
  const root = byId("results");
  // The numbers on the screen, and the last ones that the service has answered.
  let shown = null;
  let confirmed = null;
  let explanation;
  // Whether the explanation is that of the result on the screen; the one before stays until it arrives.
  let isExplained = false;
  let status = "pending";
  // Whether another example is on its way; the result on the screen is then still that of the state.
  let isAwaited = false;
  let painted = null;

  const explaining = createExplaining({
    explained(answer) {
      explanation = answer;
      isExplained = true;
      paintExplain();
    },
  });

  function mark(next) {
    status = next;
    paintStatus();
    // What the browser has shown ahead of the service is taken back when the service does not confirm it.
    if (next === "stale" && shown?.isPreview) {
      shown = confirmed;
      paint(painted);
    }
  }

  function paintStatus() {
    for (const part of [root, byId("explain")]) setAttributes(part, { "data-result": shown ? "shown" : "none" });
    const told = isAwaited ? "pending" : status;
    setAttributes(root, { "data-state": told });
    setText(byId("status"), told === "stale" ? t(shown ? "status.stale" : "status.none") : "");
    verification.update(shown?.view, shown?.found, told);
  }

  // The numbers belong to the state that was asked; names, language and focus are those of now.
  function viewOf(state) {
    const { weights, output } = shown.numbers;
    const [now, asked] = [sizesOf(state), sizesOf(shown.state)];
    const sameSizes = now.queries === asked.queries && now.keys === asked.keys;
    const { focus } = state;
    return {
      ...shown.state,
      language: state.language,
      names: sameSizes ? state.names : shown.state.names,
      focus: weights && {
        stage: focus.stage === "output" && !output ? "weights" : focus.stage,
        row: Math.min(focus.row, weights.length - 1),
        key: Math.min(focus.key, weights[0].length - 1),
        column: Math.min(focus.column, (output?.[0]?.length ?? 1) - 1),
      },
    };
  }

  function paint(state) {
    painted = state;
    formula.update(state);
    if (shown) shown.view = viewOf(state);
    paintStatus();
    on.painted(state, shown);
    if (!shown) return;
    const isRanking = shown.numbers.ranking !== null;
    for (const part of [root, byId("explain")]) setAttributes(part, { "data-view": isRanking ? "ranking" : "maps" });
    if (isRanking) {
      ranking.update(shown.view, shown.numbers);
      return;
    }
    // Behind another view maps need not follow numbers that are passing.
    if (!(shown.isPreview && state.panel))
      pipeline.update(shown.view, shown.numbers, theme.current(), shown.found?.worst, shown.isPreview);
    if (!shown.isPreview) askForExplanation();
    paintExplain();
  }

  function paintExplain() {
    if (shown.numbers.ranking) return;
    const isPending = Boolean(shown.isPreview) || !isExplained;
    setAttributes(byId("explain"), { "data-state": isPending ? "pending" : null });
    explain.update({ ...shown, state: shown.view, isPending }, explanation);
  }

  function askForExplanation() {
    const { view } = shown;
    const { request, index } = sliceRequestOf(view);
    const labels = {
      query: namesOf(view, "query", sizesOf(view).queries),
      key: namesOf(view, "key", sizesOf(view).keys),
    };
    const isNew = explaining.ask({
      request: { ...request, labels },
      index,
      query_index: view.focus.row,
      key_index: view.focus.key,
      language: language(),
    });
    if (isNew) isExplained = false;
  }

  return {
    mark,
    paint,
    awaitExample(next) {
      isAwaited = next;
      paintStatus();
    },
    used: () => confirmed?.numbers.used,
    // What each query attends to, in a sentence, as far as it is on the screen.
    sentences() {
      if (!shown?.view || shown.numbers.ranking) return [];
      return shown.numbers.weights.map((_, row) => decide(shown.view, shown.numbers, row));
    },
    show(next, state) {
      const before = confirmed && sameShape(confirmed, next) ? confirmed.numbers : null;
      shown = { ...next, before };
      confirmed = shown;
      status = "fresh";
      paint(state);
    },
    // Numbers of the browser, until the service answers.  The first result is always one of the service.
    preview(next, state) {
      if (!confirmed) return false;
      const before = sameShape(confirmed, next) ? confirmed.numbers : null;
      shown = { ...next, before, reference: next.numbers, isPreview: true };
      paint(state);
      return true;
    },
  };
}

const sameShape = (one, other) =>
  one.state.loaded === other.state.loaded &&
  one.numbers.weights?.length === other.numbers.weights?.length &&
  one.numbers.weights?.[0]?.length === other.numbers.weights?.[0]?.length;
