// Everything that follows from an answer: heat maps, formula, explanation and the check.
import { byId, setAttributes, setText } from "../page/dom.js";
import { createExplain } from "../explain/panel.js";
import { createExplaining } from "../asking/explaining.js";
import { createFormula } from "./formula.js";
import { language, t } from "../words/i18n.js";
import { namesOf } from "../words/names.js";
import { createPipeline } from "./pipeline.js";
import { createRanking } from "./ranking.js";
import { createVerification } from "./verification.js";
import { sizesOf } from "../state/store.js";
import { scoreIndexOf } from "../state/used_memory.js";

export function createResults({ catalogue, theme, on }) {
  const pipeline = createPipeline(on);
  const formula = createFormula(catalogue);
  const explain = createExplain();
  const verification = createVerification();
  const ranking = createRanking();
  const root = byId("results");
  let shown = null;
  let explanation;
  let status = "pending";

  const explaining = createExplaining({
    explained(answer) {
      explanation = answer;
      setAttributes(byId("explain"), { "data-state": null });
      paintExplain();
    },
  });

  function mark(next) {
    status = next;
    setAttributes(root, { "data-state": next });
    setText(byId("status"), next === "stale" ? t("status.stale") : "");
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
    formula.update(state);
    setText(byId("status"), status === "stale" ? t("status.stale") : "");
    if (!shown) return;
    shown.view = viewOf(state);
    verification.update(shown.view, shown.found);
    const isRanking = shown.numbers.ranking !== null;
    for (const part of [root, byId("explain")]) setAttributes(part, { "data-view": isRanking ? "ranking" : "maps" });
    if (isRanking) {
      ranking.update(shown.view, shown.numbers);
      return;
    }
    pipeline.update(shown.view, shown.numbers, theme.current(), shown.found.worst);
    askForExplanation();
    paintExplain();
  }

  function paintExplain() {
    if (shown.numbers.ranking) return;
    explain.update({ ...shown, state: shown.view }, explanation);
  }

  function askForExplanation() {
    const { view, request } = shown;
    const labels = {
      query: namesOf(view, "query", request.query.length),
      key: namesOf(view, "key", sizesOf(view).keys),
    };
    const isNew = explaining.ask({
      request: { ...request, labels },
      index: scoreIndexOf(view),
      query_index: view.focus.row,
      key_index: view.focus.key,
      language: language(),
    });
    if (isNew) setAttributes(byId("explain"), { "data-state": "pending" });
  }

  return {
    mark,
    paint,
    used: () => shown?.numbers.used,
    show(next, state) {
      const before = shown && sameShape(shown, next) ? shown.numbers : null;
      shown = { ...next, before };
      mark("fresh");
      paint(state);
    },
  };
}

const sameShape = (one, other) =>
  one.state.loaded === other.state.loaded &&
  one.numbers.weights?.length === other.numbers.weights?.length &&
  one.numbers.weights?.[0]?.length === other.numbers.weights?.[0]?.length;
