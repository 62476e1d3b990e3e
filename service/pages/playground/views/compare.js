// Two settings on the same numbers: A, which is the state of the page, and B, side by side, and their difference.
import { createControls } from "./compare/controls.js";
import { differenceOf } from "./compare/difference.js";
import { columnAxisOf, createMaps } from "./compare/maps.js";
import { createNumbers } from "./compare/numbers.js";
import { openingOptions, readOptions, stateOfB } from "./compare/settings.js";
import { createStoreOfB } from "./compare/store.js";
import { createSummary } from "./compare/summary.js";
import { createToolbar } from "./compare/toolbar.js";
import { settingsText } from "./compare/wording.js";
import { createVerification } from "../maps/verification.js";
import { byId, element, setText } from "../page/dom.js";
import { announce, noticeFor } from "../page/notices.js";
import { createReports } from "../page/reports.js";
import { t } from "../words/i18n.js";

export const compare = { name: "compare", options: openingOptions, readOptions, create };

function create({ root, catalogue, theme, change, record, hold, release, focus }) {
  // What the view was updated with last, and what has followed from it.
  let now = null;
  let isSaying = false;
  // Counts what replaces the settings of B: its fields are then filled anew.
  let replaced = 0;

  // Presets, swap and copy: what they have done is said when the numbers are there.
  function replace(edit) {
    replaced += 1;
    isSaying = true;
    record((draft) => edit(draft, catalogue));
  }

  function choose(stage) {
    change((options) => {
      options.stage = stage;
    });
  }

  const focusAt = (row, column) => focus(now.stage, row, column);
  const isOpen = () => root.isConnected && !byId("view-other").hidden;

  const toolbar = createToolbar(root, { catalogue, replace, choose });
  const maps = createMaps(root, focusAt);
  const summary = createSummary(maps.grid, focusAt);
  const checks = { a: createVerification(maps.parts.a.check), b: createVerification(maps.parts.b.check) };
  const controlsRoot = element("div");
  root.append(controlsRoot);
  const reports = createReports(() => reports.paint(), controlsRoot);
  const store = createStoreOfB({ get: () => now.stateB, record, hold, release, released: paint });
  const controls = createControls({ root: controlsRoot, catalogue, store, report: reports.report });
  const numbers = createNumbers({ catalogue, on: { isOpen, changed: paint, failed } });

  function failed(problem) {
    const isPlaced = reports.place(problem, now.stateB);
    reports.paint();
    return isPlaced ? { key: "compare.refused" } : noticeFor(problem);
  }

  function clearProblem() {
    reports.place(null);
    reports.paint();
  }

  function paint() {
    const { state, options, shown, stateB } = now;
    // The numbers of A may still be those of a state before this one; B is compared with the same.
    const stateOfNumbers = stateOfB(shown.view, options.b, catalogue);
    const isLikeA = Object.keys(options.b).length === 0;
    const b = numbers.update(stateOfNumbers, { a: shown, b: options.b, waits: store.isHeld() });
    const stage = options.stage === "output" && !shown.numbers.output ? "weights" : options.stage;
    const found = findingsOf(shown, b, stage);
    now = { ...now, stage, b };
    if (b.status !== "stale") clearProblem();
    toolbar.update(state, stage, Boolean(shown.numbers.output));
    maps.update({
      ...found,
      theme: theme.current(),
      isPassing: Boolean(shown.isPreview) || store.isHeld(),
      isOld: Boolean(b.result?.isOld),
      titles: titlesOf(shown.view, stateOfNumbers, options.b, catalogue),
    });
    checks.a.update(shown.view, shown.found, shown.isPreview ? "pending" : "fresh");
    checks.b.update(b.result && !b.result.isOld ? stateOfNumbers : null, b.result?.found, b.status);
    writeInstead(maps.parts.b.instead, b.notice);
    maps.parts.difference.root.hidden = !found.difference;
    summary.update({ ...found, isLikeA });
    controls.update({ ...stateB, loaded: `${state.loaded} ${replaced}` }, b.result?.numbers.used);
    say();
  }

  function say() {
    if (!isSaying || now.shown.isPreview || now.b.status !== "fresh") return;
    isSaying = false;
    announce(summary.text());
  }

  return {
    update({ state, options, shown }) {
      now = { ...now, state, options, shown, stateB: stateOfB(state, options.b, catalogue) };
      paint();
    },
  };
}

// What maps and summary show: the numbers of both sides, their difference, and the cell that is in focus.
function findingsOf({ view, numbers }, b, stage) {
  const numbersOfB = b.result?.numbers ?? null;
  const { row, key, column } = view.focus;
  return {
    state: view,
    stage,
    a: numbers,
    b: numbersOfB,
    difference: numbersOfB && differenceOf(numbers[stage], numbersOfB[stage]),
    focused: { row, column: columnAxisOf(stage) === "value" ? column : key },
  };
}

const titlesOf = (stateA, stateB, b, catalogue) => ({
  a: settingsText(stateA, b, catalogue),
  b: Object.keys(b).length ? settingsText(stateB, b, catalogue) : t("compare.same"),
  difference: t("compare.difference_hint"),
});

// In the place of a map that cannot be there.
function writeInstead(target, notice) {
  setText(target, notice ? t(notice.key, notice.values) : t("compare.pending"));
  if (notice?.detail) target.append(element("small", { lang: "en" }, notice.detail));
}
