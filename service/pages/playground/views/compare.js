// Two settings on the same numbers: A, which is the state of the page, and B, side by side, and their difference.
import { announce, noticeFor } from "../page/notices.js";
import { byId, element, setText } from "../page/dom.js";
import { createReports } from "../page/reports.js";
import { createVerification } from "../maps/verification.js";
import { createControls } from "../compare/controls.js";
import { differenceOf } from "../compare/difference.js";
import { columnAxisOf, createMaps } from "../compare/maps.js";
import { createNumbers } from "../compare/numbers.js";
import { differencesFrom, editable, openingOptions, readOptions, stateOfB } from "../compare/settings.js";
import { createSummary } from "../compare/summary.js";
import { createToolbar } from "../compare/toolbar.js";
import { settingsText } from "../compare/wording.js";
import { t } from "../words/i18n.js";

export const compare = { name: "compare", options: openingOptions, readOptions, create };

function create({ root, catalogue, theme, change, record, hold, release, focus }) {
  let now = null;
  let isHeld = false;
  let isSaying = false;
  // Counts what replaces the settings of B: its fields are then filled anew.
  let replaced = 0;

  const store = {
    get: () => now.stateB,
    change(edit) {
      const draft = editable(now.stateB);
      edit(draft);
      record((whole) => {
        whole.panel.options.b = differencesFrom(whole, draft);
      });
    },
    hold() {
      isHeld = true;
      hold();
    },
    release() {
      release();
      if (!isHeld) return;
      isHeld = false;
      paint();
    },
  };

  // Presets, swap and copy: what they have done is said when the numbers are there.
  function replace(edit) {
    replaced += 1;
    isSaying = true;
    record((draft) => edit(draft, catalogue));
  }

  const focusAt = (row, column) => focus(now.stage, row, column);

  const toolbar = createToolbar(root, {
    catalogue,
    replace,
    choose: (stage) =>
      change((options) => {
        options.stage = stage;
      }),
  });
  const maps = createMaps(root, focusAt);
  const summary = createSummary(maps.grid, focusAt);
  const controlsRoot = element("div");
  root.append(controlsRoot);
  const reports = createReports(() => reports.paint(), controlsRoot);
  const controls = createControls({ root: controlsRoot, catalogue, store, report: reports.report });
  const checks = { a: createVerification(maps.parts.a.check), b: createVerification(maps.parts.b.check) };
  const isOpen = () => root.isConnected && !byId("view-other").hidden;
  const numbers = createNumbers({ catalogue, on: { isOpen, changed: paint, failed } });

  function failed(problem) {
    const isPlaced = reports.place(problem, now.stateB);
    reports.paint();
    return isPlaced ? { key: "compare.refused" } : noticeFor(problem);
  }

  function paint() {
    const { state, options, shown } = now;
    // The numbers of A may still be those of a state before this one; B is compared with the same.
    const stateOfNumbers = stateOfB(shown.view, options.b, catalogue);
    const isLikeA = Object.keys(options.b).length === 0;
    const b = numbers.update(stateOfNumbers, { isLikeA, a: shown, waits: isHeld });
    const stage = options.stage === "output" && !shown.numbers.output ? "weights" : options.stage;
    const numbersOfB = b.result?.numbers ?? null;
    const difference = numbersOfB && differenceOf(shown.numbers[stage], numbersOfB[stage]);
    const focused = focusedIn(shown.view, stage);
    now = { ...now, stage, b, difference };
    if (b.status !== "stale") clearProblem();
    toolbar.update(state, stage, Boolean(shown.numbers.output));
    maps.update({
      state: shown.view,
      stage,
      a: shown.numbers,
      b: numbersOfB,
      difference,
      theme: theme.current(),
      isPassing: Boolean(shown.isPreview) || isHeld,
      isOld: Boolean(b.result?.isOld),
      focused,
      titles: titlesOf(shown.view, stateOfNumbers, options.b),
    });
    paintChecks(stateOfNumbers);
    summary.update({ state: shown.view, stage, a: shown.numbers, b: numbersOfB, difference, isLikeA, focused });
    controls.update({ ...now.stateB, loaded: `${state.loaded} ${replaced}` }, numbersOfB?.used);
    say();
  }

  function clearProblem() {
    reports.place(null);
    reports.paint();
  }

  function titlesOf(stateA, stateB, b) {
    return {
      a: settingsText(stateA, b, catalogue),
      b: Object.keys(b).length ? settingsText(stateB, b, catalogue) : t("compare.same"),
      difference: t("compare.difference_hint"),
    };
  }

  function paintChecks(stateOfNumbers) {
    const { shown, b } = now;
    checks.a.update(shown.view, shown.found, shown.isPreview ? "pending" : "fresh");
    checks.b.update(b.result && !b.result.isOld ? stateOfNumbers : null, b.result?.found, b.status);
    const { instead } = maps.parts.b;
    setText(instead, b.notice ? t(b.notice.key, b.notice.values) : t("compare.pending"));
    if (b.notice?.detail) instead.append(element("small", { lang: "en" }, b.notice.detail));
    maps.parts.difference.root.hidden = !now.difference;
  }

  function say() {
    if (!isSaying || now.shown.isPreview || now.b.status !== "fresh") return;
    isSaying = false;
    announce(summary.text());
  }

  return {
    update({ state, options, shown }) {
      const stateB = stateOfB(state, options.b, catalogue);
      now = { ...now, state, options, shown, stateB };
      paint();
    },
  };
}

function focusedIn({ focus }, stage) {
  return { row: focus.row, column: columnAxisOf(stage) === "value" ? focus.column : focus.key };
}
