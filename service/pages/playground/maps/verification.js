// The badge: browser versus service, the largest difference, and which cell is wrong if one is.
import { wordsOf } from "../explain/panel.js";
import { byId, setAttributes, setText } from "../page/dom.js";
import { isLarge } from "../state/store.js";
import { t } from "../words/i18n.js";
import { nameOf } from "../words/names.js";
import { formatDifference, formatFull } from "../words/numbers.js";

const ROWS = new Set(["entropy", "effective_keys", "softmax_sensitivity"]);

export function createVerification(root = byId("verification")) {
  return {
    // `status` is that of the results: a comparison belongs to those that are fresh.
    update(state, found, status) {
      const isFresh = status === "fresh" && found;
      const kind = !isFresh ? "pending" : !found.checked ? "unchecked" : found.passed ? "match" : "mismatch";
      setAttributes(root, { "data-state": kind });
      if (isFresh) setText(root, textOf(state, found, kind));
      else setText(root, status === "pending" && state ? t("check.pending") : "");
    },
  };
}

function textOf(state, found, kind) {
  if (kind === "unchecked") {
    if (found.leavesFloat64) return t("check.unchecked_overflow");
    if ((state.further.dtype ?? "float64") !== "float64") return t("check.unchecked_type", { type: state.further.dtype });
    return t(isLarge(state) ? "check.unchecked_memory" : "check.unchecked");
  }
  if (kind === "match") {
    return t("check.match", {
      difference: formatDifference(found.difference),
      tolerance: formatDifference(found.tolerance),
    });
  }
  const { matrix, row, column, service, browser, difference, tolerance } = found.worst;
  return t(ROWS.has(matrix) ? "check.mismatch_row" : "check.mismatch", {
    matrix: t(`matrix.${wordsOf(matrix, state)}`),
    query: nameOf(state, "query", row),
    column: nameOf(state, matrix === "output" ? "value" : "key", column),
    service: service === undefined ? t("check.missing") : formatFull(service),
    browser: browser === undefined ? t("check.missing") : formatFull(browser),
    difference: formatDifference(difference),
    tolerance: formatDifference(tolerance),
  });
}
