// The four heat maps, from what the service answered.
import { cellsOf } from "./cells.js";
import { byId, element, setText } from "../page/dom.js";
import { createHeatmap } from "./heatmap.js";
import { t } from "../words/i18n.js";
import { createLegend } from "./legend.js";
import { namesOf } from "../words/names.js";
import { NUMBERS_LIMIT } from "../state/store.js";

export const STAGES = ["scores", "mask", "weights", "output"];

const MASKABLE = ["mask", "weights"];

// `on` holds focus(stage, row, column), toggle(row, key), toggleKey(key).
export function createPipeline(on) {
  const maps = Object.fromEntries(
    STAGES.map((stage) => {
      const root = byId(`stage-${stage}`);
      const scroller = element("div", { class: "scroller" });
      const empty = element("p", { class: "empty", hidden: true });
      const legend = createLegend(stage);
      root.append(scroller, empty, legend.root);
      const maskable = MASKABLE.includes(stage) ? { toggle: on.toggle, toggleColumn: on.toggleKey } : {};
      const map = createHeatmap(scroller, stage, { focus: (row, column) => on.focus(stage, row, column), ...maskable });
      return [stage, { root, scroller, empty, legend, map }];
    }),
  );

  let content = null;
  let cells = null;

  return {
    // `numbers` is the answer of the service, and `state` the one that it answers.
    // `worst` is the cell that differs most from the browser's own, if any differs.
    update(state, numbers, theme, worst) {
      const next = [numbers, theme, state.language, JSON.stringify(state.names)];
      const repaints = !content || next.some((part, index) => part !== content[index]);
      if (repaints) cells = cellsOf(state, numbers, theme);
      content = next;
      for (const stage of STAGES) show(maps[stage], stage, state, cells[stage], { theme, repaints, worst });
    },
    focusCell: (stage, row, column) => maps[stage].map.focusCell(row, column),
  };
}

function show({ root, scroller, empty, legend, map }, stage, state, cells, { theme, repaints, worst }) {
  const shown = Boolean(cells?.rows);
  scroller.hidden = !shown;
  legend.root.hidden = !shown;
  empty.hidden = shown;
  if (!shown) setText(empty, t("map.no_values"));
  root.classList.toggle("wide", shown && cells.columns > 6);
  if (!shown) return;
  const selected = state.focus.stage === stage ? { row: state.focus.row, column: columnOf(state.focus, stage) } : null;
  map.update(
    {
      label: t(`stage.${stage}`),
      rows: namesOf(state, "query", cells.rows),
      columns: namesOf(state, stage === "output" ? "value" : "key", cells.columns),
      columnLabel: (column) => t("mask.whole_key", { key: namesOf(state, "key", cells.columns)[column] }),
      cell: cells.cell,
      density: densityOf(cells),
      selected,
      differs: worst?.matrix === stage || (stage === "mask" && worst?.matrix === "logits") ? worst : null,
      active: { row: state.focus.row, column: columnOf(state.focus, stage, true) },
    },
    repaints,
  );
  legend.update(cells.scale, theme);
}

// Key columns stay highlighted in all maps of keys; in the output only when it is the output that is explained.
function columnOf(focus, stage, related = false) {
  if (stage !== "output") return focus.key;
  return related && focus.stage !== "output" ? -1 : focus.column;
}

function densityOf({ rows, columns }) {
  if (rows > NUMBERS_LIMIT || columns > NUMBERS_LIMIT) return "colours";
  if (columns > 16) return "dense";
  return columns > 8 ? "close" : "open";
}
