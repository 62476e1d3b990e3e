// What a step of the lesson sets, on top of the example that it begins with:
//   scoreModel, normalizer   [name, parameters], the parameters that are left out being those of the page;
//   numbers                  {tensor: [[row, column, number], …]};
//   hidden                   pairs [row, key] that are masked;
//   from                     {tensor: index}, the example among those of the step that a tensor and its names come from;
//   focus                    the cell to explain;
//   view                     the open view.
import { viewOf } from "../views/loading.js";
import { freeMask } from "../state/edits.js";
import { defaultParameters } from "../state/defaults.js";
import { sliceOf } from "../state/store.js";

const ENTRIES = { scoreModel: "scoreModels", normalizer: "normalizers" };

// `states` are those of the examples of the step.
export function applySettings(draft, settings, states, catalogue) {
  const { numbers = {}, hidden = [], from = {}, focus = {}, view = null } = settings;
  for (const [choice, entries] of Object.entries(ENTRIES)) {
    if (!settings[choice]) continue;
    const [name, given = {}] = settings[choice];
    const entry = catalogue[entries].find((each) => each.name === name);
    draft[choice] = { name, parameters: { ...defaultParameters(entry, draft), ...given } };
  }
  for (const [tensor, cells] of Object.entries(numbers))
    for (const [row, column, number] of cells) replace(sliceOf(draft, tensor), row, column, number);
  for (const [tensor, index] of Object.entries(from)) {
    draft[tensor] = structuredClone(states[index][tensor]);
    draft.names[tensor] = structuredClone(states[index].names[tensor]);
  }
  if (hidden.length) freeMask(draft);
  for (const [row, key] of hidden) replace(draft.mask.allowed, row, key, false);
  Object.assign(draft.focus, focus);
  if (view) draft.panel = { name: view, options: viewOf(view).options() };
}

// A cell that the reader has removed stays away.
function replace(rows, row, column, entry) {
  if (column < (rows[row]?.length ?? 0)) rows[row][column] = entry;
}
