// The parameters of a score model or normalizer as fields: numbers, and grids for tensors.
import { element, setAttributes, setText } from "../page/dom.js";
import { setMathText, spokenMath } from "../page/math_text.js";
import { axisSizes, factorOf, freeAxes, parametersOf } from "./parameters.js";
import { fitParameters, fromRows, toRows } from "../state/defaults.js";
import { createGrid } from "./grid.js";
import { halfOf, has, t } from "../words/i18n.js";
import { namesOf } from "../words/names.js";
import { formatFull, formatNumber, parseNumber } from "../words/numbers.js";
import { createTemperature } from "./temperature.js";
import { createWritten } from "./written.js";

// `choice` is "scoreModel" or "normalizer"; `field` is its name on the wire, as error pointers spell it; ids begin with
// `prefix`.
export function createParameterFields(root, { choice, field, store, entryOf, report, prefix }) {
  let built = null;
  let loaded = null;
  let parts = [];

  const set = (name, value) =>
    store.change((draft) => {
      draft[choice].parameters[name] = value;
    });

  function build(entry) {
    parts = [
      ...freeAxes(entry).map((axis) => sizeField(axis)),
      ...parametersOf(entry).map((parameter) => fieldOf(parameter)),
    ];
    root.replaceChildren(...parts.map(({ root: part }) => part));
  }

  function fieldOf(parameter) {
    const place = `${field}/${parameter.name}`;
    if (parameter.name === "temperature")
      return createTemperature({
        prefix,
        set: (value) => set("temperature", value),
        report: (found) => report(place, found),
        hold: store.hold,
        release: store.release,
      });
    if (parameter.kind !== "numbers") return writtenField(parameter, place);
    return parameter.rank === 0 ? numberField(parameter, place) : tensorField(parameter, place);
  }

  // A formula as it is written, or its parameters as JSON.
  function writtenField(parameter, place) {
    return createWritten({
      place,
      kind: parameter.kind,
      required: parameter.required,
      attributes: { "data-parameter": parameter.name },
      labelOf: () => titleOf(parameter.name),
      helpOf: () => halfOf(parameter.description),
      get: (state) => state[choice].parameters[parameter.name],
      set: (value) => set(parameter.name, value),
      report,
    });
  }

  function numberField(parameter, place) {
    const input = element("input", {
      type: "text",
      inputmode: "decimal",
      autocomplete: "off",
      "data-parameter": parameter.name,
      "data-least": parameter.bounds.least,
      "data-above": parameter.bounds.above,
    });
    const label = element("span");
    const error = element("p", { class: "field-error", "data-place": place, hidden: true });
    input.addEventListener("input", () => {
      const blank = input.value.trim() === "";
      const number = blank ? null : parseNumber(input.value);
      const right = blank || (number !== null && parameter.accepts(number));
      setAttributes(input, { "aria-invalid": right ? null : "true" });
      report(place, right ? null : { key: "problem.parameter", values: { text: input.value } });
      if (right) set(parameter.name, number);
    });
    return {
      root: element("div", { class: "parameter" }, element("label", {}, label, input), error),
      // What cannot be read gives way to other numbers.
      forget() {
        if (!input.hasAttribute("aria-invalid")) return;
        setAttributes(input, { "aria-invalid": null });
        input.value = "";
      },
      update(state, { used }) {
        const value = state[choice].parameters[parameter.name];
        setText(label, titleOf(parameter.name));
        label.parentElement.title = halfOf(parameter.description);
        const standard = used?.[parameter.name];
        input.placeholder = typeof standard === "number" ? formatNumber(standard, 4) : t("parameter.none");
        const shown = input.value.trim() === "" ? null : parseNumber(input.value);
        if (!input.hasAttribute("aria-invalid") && shown !== value) input.value = value === null ? "" : formatFull(value);
      },
    };
  }

  function tensorField(parameter, place) {
    const body = element("div", { class: "scroller" });
    const label = element("span", { class: "parameter-name" });
    const optional = element("button", { type: "button", class: "tool", "data-parameter-toggle": parameter.name });
    const error = element("p", { class: "field-error", "data-place": place, hidden: true });
    const grid = createGrid(body, {
      number: (row, column, value) =>
        store.change((draft) => {
          const rows = structuredClone(toRows(draft[choice].parameters[parameter.name], parameter.axes));
          rows[row][column] = value;
          draft[choice].parameters[parameter.name] = fromRows(rows, parameter.axes);
        }),
      name() {},
      unreadable: (problem) => report(place, { ...problem, blocks: false }),
      request: () => report(place, { key: "problem.paste_elsewhere", values: {}, blocks: false }),
      paste: ({ rows }) =>
        store.change((draft) => {
          const { parameters } = draft[choice];
          parameters[parameter.name] = fromRows(rows, parameter.axes);
          draft[choice].parameters = fitParameters(entryOf(draft), parameters, draft);
        }),
      wrong: (found) => report(place, found && { key: "problem.number", values: found }),
    });
    optional.addEventListener("click", () =>
      store.change((draft) => {
        const { parameters } = draft[choice];
        const sizes = axisSizes(entryOf(draft), parameters, draft);
        parameters[parameter.name] = parameters[parameter.name]
          ? null
          : Array.from({ length: sizes[parameter.axes[0]] }, () => 0);
      }),
    );
    return {
      root: element(
        "div",
        { class: "parameter tensor", "data-parameter": parameter.name },
        element("div", { class: "parameter-head" }, label, parameter.required ? null : optional),
        body,
        error,
      ),
      update(state) {
        const tensor = state[choice].parameters[parameter.name];
        const title = titleOf(parameter.name);
        setMathText(label, title);
        label.title = halfOf(parameter.description);
        setText(optional, t(tensor ? "parameter.leave_out" : "parameter.give"));
        body.hidden = !tensor;
        if (!tensor) return;
        const values = toRows(tensor, parameter.axes);
        const identity = `${state.loaded} ${parameter.name}`;
        grid.update({ label: spokenMath(title), values, identity, renames: {}, ...axisNames(parameter.axes, values, state) });
      },
    };
  }

  function sizeField(axis) {
    const input = element("input", { type: "number", min: "1", max: "32", step: "1", "data-axis": axis });
    const label = element("span");
    let isStale = false;
    input.addEventListener("input", () => {
      const size = Number(input.value);
      if (!Number.isInteger(size) || size < 1 || size > 32) return;
      store.change((draft) => {
        draft[choice].parameters = fitParameters(entryOf(draft), draft[choice].parameters, draft, { [axis]: size });
      });
    });
    return {
      root: element("div", { class: "parameter" }, element("label", {}, label, input)),
      forget() {
        isStale = true;
      },
      update(state) {
        setText(label, has(`axis.${axis}`) ? t(`axis.${axis}`) : axis);
        const size = axisSizes(entryOf(state), state[choice].parameters, state)[axis];
        if (isStale || document.activeElement !== input) input.value = String(size);
        isStale = false;
      },
    };
  }

  return {
    update(state, context) {
      const entry = entryOf(state);
      if (built !== entry.name || loaded !== state.loaded) report.clear(`${field}/`);
      if (built !== entry.name) build(entry);
      // The fields stay where other numbers come, as by undo, and with them the focus.
      else if (loaded !== state.loaded) for (const { forget } of parts) forget?.();
      built = entry.name;
      loaded = state.loaded;
      for (const { update } of parts) update(state, context);
    },
  };
}

const titleOf = (name) => (has(`parameter.${name}`) ? t(`parameter.${name}`) : name);

// Rows and columns of a parameter are called as the axis they run along.
function axisNames(axes, values, state) {
  const along = (axis, length) => {
    if (["D", "Dq", "Dk"].includes(axis)) return namesOf(state, "feature", length);
    return Array.from({ length }, (_, index) =>
      t("axis.entry", { axis: axis.replace(/^axis /, ""), number: index + 1 }),
    );
  };
  const [height, width] = [values.length, values[0].length];
  if (factorOf(axes[0]))
    return { rows: ["q", "k", "q∘k", ...Array(height).fill("…")].slice(0, height), columns: along("D", width) };
  if (axes.length === 1) return { rows: [t("axis.row")], columns: along(axes[0], width) };
  return { rows: along(axes[0], height), columns: along(axes[1], width) };
}
