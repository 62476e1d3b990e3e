// An editable matrix: a table of text fields, with names that may be edited, arrow keys, and paste.
import { element, setAttributes } from "../page/dom.js";
import { widestOf, widestWordOf } from "../page/measure.js";
import { t } from "../words/i18n.js";
import { formatFull, parseNumber } from "../words/numbers.js";
import { parseBlock, problemOf } from "./paste.js";

const MAX_FIELDS = 2048;

const NARROWEST = 50;

const WIDEST_NUMBER = 64;

const WIDEST_NAME = 96;

const NAME_PADDING = 8;

const NUMBER_PADDING = 13;

// `on` holds number(row, column, value), name(axis, index, text), paste(block, row, column), wrong(text or null),
// unreadable(problem of a pasted block) and request(a whole request).
export function createGrid(root, on) {
  const table = element("table", { class: "grid", role: "grid" });
  root.append(table);
  let model = null;
  let shape = "";
  let fields = [];
  let names = { row: [], column: [] };
  const wrong = new Map();
  // The number that each field has been given.
  const shown = new WeakMap();
  const last = { row: 0, column: 0 };
  let width = 0;
  let written = "";

  function build() {
    wrong.clear();
    written = "";
    fields = model.values.map((line, row) =>
      line.map((_, column) =>
        element("input", {
          type: "text",
          inputmode: "decimal",
          autocomplete: "off",
          spellcheck: "false",
          tabindex: -1,
          "data-row": row,
          "data-column": column,
        }),
      ),
    );
    names = {
      row: model.rows.map((_, row) => nameField("row", row)),
      column: model.columns.map((_, column) => nameField("column", column)),
    };
    const head = element(
      "tr",
      {},
      element("td"),
      ...names.column.map((field) => element("th", { scope: "col" }, field)),
    );
    const lines = fields.map((line, row) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, names.row[row]),
        ...line.map((field) => element("td", {}, field)),
      ),
    );
    table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...lines));
    stopAt(lastField());
  }

  const lastField = () => fields[Math.min(last.row, fields.length - 1)][Math.min(last.column, fields[0].length - 1)];

  // Tab enters and leaves the grid at one field; the arrow keys move inside.
  function stopAt(field) {
    for (const stop of table.querySelectorAll('input[tabindex="0"]')) stop.tabIndex = -1;
    field.tabIndex = 0;
  }

  function nameField(direction, index) {
    if (!model.renames[direction]) return element("span");
    return element("textarea", {
      rows: "1",
      tabindex: -1,
      spellcheck: "false",
      autocomplete: "off",
      "data-direction": direction,
      "data-index": index,
    });
  }

  function paint() {
    setAttributes(table, { "aria-label": model.label });
    const words = JSON.stringify([model.label, model.rows, model.columns]);
    const renames = words !== written;
    written = words;
    if (renames) paintWidths();
    for (const direction of ["row", "column"]) {
      names[direction].forEach((field, index) => paintName(field, direction, index));
    }
    fields.forEach((line, row) =>
      line.forEach((field, column) => {
        if (renames) {
          const called = { grid: model.label, row: model.rows[row], column: model.columns[column] };
          field.setAttribute("aria-label", t("grid.cell", called));
        }
        const value = model.values[row][column];
        if (!wrong.has(field) && shown.get(field) !== value) {
          if (parseNumber(field.value) !== value) field.value = formatFull(value);
          shown.set(field, value);
        }
        const isWrong = wrong.has(field) || isPointedAt(row, column);
        if (field.hasAttribute("aria-invalid") !== isWrong) setAttributes(field, { "aria-invalid": isWrong && "true" });
        if (field.readOnly !== Boolean(model.readOnly)) setAttributes(field, { readonly: model.readOnly });
      }),
    );
  }

  // No column is narrower than the longest word of its name, nor than the numbers that it begins with, as far as they are
  // short, nor the names of rows than theirs.
  function paintWidths() {
    const columns = model.columns.map((name, column) => {
      const numbers = model.values.map((line) => formatFull(line[column]));
      const named = Math.min(WIDEST_NAME, widestWordOf([name], 10.5) + NAME_PADDING);
      return Math.max(NARROWEST, named, Math.min(WIDEST_NUMBER, widestOf(numbers, 13) + NUMBER_PADDING));
    });
    const head = Math.max(
      Math.min(WIDEST_NAME, widestOf(model.rows, 12) + NAME_PADDING),
      Math.min(1.5 * WIDEST_NAME, widestWordOf(model.rows, 12) + NAME_PADDING),
    );
    names.column.forEach((field, column) => {
      field.parentElement.style.minWidth = `${columns[column]}px`;
    });
    for (const field of names.row) field.parentElement.style.minWidth = `${head}px`;
    width = head + columns.reduce((sum, each) => sum + each, 0);
  }

  function paintName(field, direction, index) {
    const text = model[direction === "row" ? "rows" : "columns"][index];
    field.title = text;
    if (!model.renames[direction]) {
      field.textContent = text;
      return;
    }
    if (document.activeElement !== field) field.value = text;
    field.setAttribute("aria-label", t(`grid.${direction}_name`, { grid: model.label, number: index + 1 }));
  }

  const isPointedAt = (row, column) => model.pointed?.row === row && (model.pointed.column ?? column) === column;

  function readField(field) {
    const [row, column] = [Number(field.dataset.row), Number(field.dataset.column)];
    const number = parseNumber(field.value);
    if (number === null) wrong.set(field, { row, column });
    else wrong.delete(field);
    shown.delete(field);
    setAttributes(field, { "aria-invalid": number === null ? "true" : null });
    tellWrong();
    if (number !== null) on.number(row, column, number);
  }

  function tellWrong() {
    const [first] = wrong;
    on.wrong(
      first ? { text: first[0].value, row: model.rows[first[1].row], column: model.columns[first[1].column] } : null,
    );
  }

  table.addEventListener("input", ({ target }) => {
    if (target.dataset.row !== undefined) readField(target);
    else on.name(target.dataset.direction, Number(target.dataset.index), target.value);
  });
  table.addEventListener("focusin", ({ target }) => {
    if (target.dataset.row === undefined) return;
    last.row = Number(target.dataset.row);
    last.column = Number(target.dataset.column);
    stopAt(target);
  });
  table.addEventListener("focusout", ({ target }) => {
    if (target.dataset.direction) paintName(target, target.dataset.direction, Number(target.dataset.index));
  });
  table.addEventListener("keydown", (event) => walk(event, fields, names));
  // Spreadsheets read the minus of ASCII alone.
  table.addEventListener("copy", (event) => {
    const { value, selectionStart, selectionEnd, dataset } = event.target;
    if (dataset.row === undefined || selectionStart === selectionEnd) return;
    event.preventDefault();
    event.clipboardData.setData("text/plain", value.slice(selectionStart, selectionEnd).replaceAll("−", "-"));
  });
  table.addEventListener("paste", (event) => {
    if (event.target.dataset.row === undefined || model.readOnly) return;
    const block = parseBlock(event.clipboardData.getData("text/plain"));
    if (!block) return;
    event.preventDefault();
    const problem = problemOf(block);
    if (problem) {
      on.unreadable(problem);
      return;
    }
    wrong.clear();
    tellWrong();
    paint();
    if (block.request) on.request(block.request);
    else on.paste(block, Number(event.target.dataset.row), Number(event.target.dataset.column));
  });

  return {
    update(next) {
      model = next;
      const nextShape = `${next.identity} ${next.rows.length} ${next.columns.length}`;
      const tooMany = next.rows.length * next.columns.length > MAX_FIELDS;
      root.hidden = tooMany;
      if (tooMany) return;
      if (nextShape !== shape) {
        const held = table.contains(document.activeElement) && document.activeElement.dataset.row !== undefined;
        shape = nextShape;
        build();
        tellWrong();
        if (held) lastField().focus();
      }
      paint();
    },
    // The numbers are not here any more, and neither is one that could not be read.
    clear() {
      shape = "";
      wrong.clear();
      on.wrong(null);
    },
    isTooLarge: () => root.hidden,
    // Pixels in which no column is clipped.
    width: () => (model && !root.hidden ? width : 0),
  };
}

// Up, down and Enter move at once; left and right as soon as the caret is at the end of the text.
function walk(event, fields, names) {
  const { target, key } = event;
  if (target.dataset.direction && key === "Enter") event.preventDefault();
  if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey || event.isComposing) return;
  const [row, column] = positionOf(target);
  const whole = target.selectionStart === 0 && target.selectionEnd === target.value?.length;
  const atStart = whole || target.selectionEnd === 0;
  const atEnd = whole || target.selectionStart === target.value?.length;
  const at = (r, c) => (r < 0 ? names.column[c] : c < 0 ? names.row[r] : fields[r]?.[c]);
  const next = {
    ArrowUp: () => at(row - 1, column),
    ArrowDown: () => at(row + 1, column),
    Enter: () => at(row + 1, column),
    ArrowLeft: () => atStart && at(row, column - 1),
    ArrowRight: () => atEnd && at(row, column + 1),
  }[key]?.();
  if (!next?.matches?.("input, textarea")) return;
  event.preventDefault();
  next.focus();
  next.select();
}

function positionOf({ dataset }) {
  if (dataset.row !== undefined) return [Number(dataset.row), Number(dataset.column)];
  return dataset.direction === "row" ? [Number(dataset.index), -1] : [-1, Number(dataset.index)];
}
