// The three panels of numbers: queries, keys and values, each with its tools and its own error.
import { byId, element, setAttributes, setStyle, setText } from "../page/dom.js";
import { createToolbarKeys } from "../page/toolbar_keys.js";
import * as edits from "../state/edits.js";
import { createGrid } from "./grid.js";
import { createGridText } from "./grid_text.js";
import { t } from "../words/i18n.js";
import { namesOf, rename } from "../words/names.js";
import { fitParameters, withoutFeature } from "../state/defaults.js";
import { pairsFeatures } from "./parameters.js";
import { LIMIT, isLarge, sliceOf } from "../state/store.js";

export const TENSORS = ["query", "key", "value"];

// `report` takes the name of a field and its error, or null for none: report("query", text).
// `takeRequest(name, request)` is called when a whole request has been pasted.
export function createTensors({ store, entryOf, report, takeRequest }) {
  const panels = TENSORS.map((name) => createPanel(name, { store, entryOf, report, takeRequest }));
  const layout = document.querySelector(".layout");
  return {
    update(state, { pointed }) {
      const widths = panels.map((panel) => panel(state, pointed));
      setStyle(layout, "--grids", `${Math.ceil(Math.max(...widths))}px`);
    },
  };
}

function createPanel(name, { store, entryOf, report, takeRequest }) {
  const root = byId(`tensor-${name}`);
  const body = element("div", { class: "scroller" });
  const text = element("div", { hidden: true });
  const none = element("p", { class: "empty", hidden: true });
  const source = element("p", { class: "hint source", hidden: true });
  root.querySelector(".tensor-body").append(body, text, none, source);
  const paired = () => pairsFeatures(entryOf(store.get()));

  function edit(change) {
    store.change((draft) => {
      change(draft);
      edits.fitMask(draft);
      draft.scoreModel.parameters = fitParameters(entryOf(draft), draft.scoreModel.parameters, draft);
    });
  }

  const on = {
    number: (row, column, value) =>
      sliceOf(store.get(), name)[row][column] !== value &&
      store.change((draft) => {
        sliceOf(draft, name)[row][column] = value;
      }),
    name: (direction, index, value) =>
      store.change((draft) => rename(draft, edits.axisOf(name, direction), index, value)),
    paste({ rows: block, rowNames, columnNames }, row, column) {
      const tooLarge = row + block.length > LIMIT || column + block[0].length > LIMIT;
      if (tooLarge) {
        const values = { rows: block.length, columns: block[0].length, limit: LIMIT };
        report(name, { key: "problem.paste_size", values, blocks: false });
        return;
      }
      report(name, null);
      edit((draft) => {
        edits.paste(draft, name, { block, row, column, paired: paired() });
        for (const [direction, names, first] of [["row", rowNames, row], ["column", columnNames, column]])
          names?.forEach((text, index) => rename(draft, edits.axisOf(name, direction), first + index, text));
      });
    },
    unreadable: (problem) => report(name, { ...problem, blocks: false }),
    request: (request) => takeRequest(name, request),
    wrong: (found) => report(name, found && { key: "problem.number", values: found }),
  };
  const grid = createGrid(body, on);
  const gridText = createGridText(text, {
    paste: on.paste,
    request: on.request,
    wrong: (bad) => report(name, bad ? { key: "problem.text", values: {} } : null),
  });
  const tools = createTools(root.querySelector(".tools"), name, {
    insert: (direction) =>
      edit((draft) => (draft[name] ? edits.insert(draft, name, direction, paired()) : edits.addValues(draft))),
    remove: (direction) =>
      edit((draft) => {
        const [rows, columns] = [sliceOf(draft, name).length, sliceOf(draft, name)[0].length];
        const index = (direction === "row" ? rows : columns) - 1;
        const touched = edits.remove(draft, name, direction, index, paired());
        if (direction === "row" || name === "value") return;
        draft.scoreModel.parameters = withoutFeature(entryOf(draft), draft.scoreModel.parameters, index, touched);
      }),
  });

  return (state, pointed) => {
    const memory = name === "query" ? null : state.memory;
    const isKnown = !memory || memory.status === "shown";
    const values = isKnown ? sliceOf(state, name) : null;
    none.hidden = Boolean(values);
    setText(none, values ? "" : isKnown ? t("tensor.no_values") : unknownOf(state, name));
    source.hidden = !memory || !values;
    setText(source, memory ? t("memory.source", { name: memory.name }) : "");
    root.querySelector(".tools").hidden = Boolean(memory);
    tools(state);
    body.hidden = !values;
    text.hidden = true;
    if (!isKnown) grid.clear();
    if (!values) {
      gridText.clear();
      return 0;
    }
    const label = t(`tensor.${name}`);
    const rows = namesOf(state, edits.axisOf(name, "row"), values.length);
    const columns = namesOf(state, edits.axisOf(name, "column"), values[0].length);
    const identity = `${state.loaded} ${state.batch} ${memory?.name ?? ""}`;
    grid.update({
      label,
      rows,
      columns,
      values,
      identity,
      renames: { row: !memory, column: true },
      readOnly: Boolean(memory),
      pointed: pointed?.[name],
    });
    gridText.update({ label, values, identity, shown: grid.isTooLarge(), readOnly: Boolean(memory) });
    return grid.width();
  };
}

// What stands in the place of numbers that the page does not have.
function unknownOf(state, name) {
  const { memory } = state;
  if (!isLarge(state)) return t(`memory.${memory.status}`, { name: memory.name });
  const shape = memory.about.shape[name];
  return shape ? t("memory.large", { name: memory.name, shape: shape.join(" × ") }) : t("tensor.no_values");
}

// Two counters, rows × columns, each with a button for fewer and one for more.
function createTools(root, name, act) {
  const counters = ["row", "column"].map((direction) => {
    const fewer = toolButton("remove", direction, "−", act);
    const more = toolButton("insert", direction, "+", act);
    const count = element("span", { class: "count" });
    return { direction, fewer, more, count, root: element("span", { class: "counter" }, fewer, count, more) };
  });
  const add = element("button", { type: "button", class: "tool", "data-tool": "add-values" });
  add.addEventListener("click", () => act.insert("row"));
  root.append(counters[0].root, element("span", { class: "times", "aria-hidden": "true" }, "×"), counters[1].root, add);
  const keys = createToolbarKeys(root);

  return (state) => {
    const missing = !state[name];
    const grid = t(`tensor.${name}`);
    root.classList.toggle("missing", missing);
    add.hidden = !missing;
    setText(add, t("tool.add_values"));
    for (const { direction, fewer, more, count, root: counter } of counters) {
      counter.hidden = missing;
      if (missing) continue;
      const matrix = sliceOf(state, name);
      setText(count, String(direction === "row" ? matrix.length : matrix[0].length));
      describe(fewer, t(`tool.remove_${direction}`, { grid }), edits.canShrink(state, name, direction));
      describe(more, t(`tool.insert_${direction}`, { grid }), edits.canGrow(state, name, direction));
    }
    keys.settle(grid);
  };
}

function toolButton(change, direction, sign, act) {
  const button = element("button", { type: "button", class: "step", "data-tool": `${change}-${direction}` }, sign);
  button.addEventListener("click", () => act[change](direction));
  return button;
}

function describe(button, label, enabled) {
  setAttributes(button, { "aria-label": label, title: label });
  button.disabled = !enabled;
}
