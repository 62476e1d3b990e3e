// One heat map: a real table with one tab stop, arrow keys inside, and a colour, a number and a label for each cell.
import { element, setAttributes, setStyle, setText } from "../page/dom.js";
import { steer } from "../page/steering.js";

const DWELL_MILLISECONDS = 140;

// Where the pointer has come to: a map that appears beneath it, or scrolls, is not pointed at.
let pointer = "";

const placeOf = ({ clientX, clientY }) => `${clientX} ${clientY}`;

for (const kind of ["pointermove", "pointerdown"])
  addEventListener(kind, (event) => (pointer = placeOf(event)), { passive: true });

// The colour that each cell has: to ask its style takes longer.
const painted = new WeakMap();

// `on` holds focus(row, column), and where cells can be masked toggle(row, column) and toggleColumn(column).
export function createHeatmap(root, stage, on) {
  const table = element("table", { role: "grid", class: "map", "data-stage": stage });
  root.append(table);
  let model = null;
  let cells = [];
  let columnHeads = [];
  let rowHeads = [];
  let selected = null;
  let differing = null;
  let dwell = null;
  let wasSelected = false;
  let pressedBy = null;
  let tapped = null;

  const steering = steer(table, {
    cellAt: (row, column) => (row < 0 ? columnHeads[column] : cells[row]?.[column]),
    size: () => ({ rows: cells.length, columns: cells[0]?.length ?? 0, heads: Boolean(on.toggleColumn) }),
    act: (row, column) => (row < 0 ? on.toggleColumn?.(column) : on.toggle?.(row, column)),
    focus(row, column) {
      if (row < 0) return;
      nameCell(row, column);
      on.focus(row, column);
    },
  });

  table.addEventListener("pointerover", (event) => {
    clearTimeout(dwell);
    const position = positionOf(event.target);
    if (event.pointerType !== "mouse" || !position || position.row < 0 || placeOf(event) === pointer) return;
    dwell = setTimeout(() => on.focus(position.row, position.column), DWELL_MILLISECONDS);
  });
  table.addEventListener("pointerleave", () => clearTimeout(dwell));
  // The focus comes between pointerdown and click, and with it the selection.  What presses is known only here: not in
  // every browser is a click a PointerEvent.
  table.addEventListener("pointerdown", (event) => {
    const position = positionOf(event.target);
    wasSelected = Boolean(position) && isSelected(position);
    pressedBy = event.pointerType;
  });
  table.addEventListener("click", (event) => {
    const position = positionOf(event.target);
    if (!position) return;
    clearTimeout(dwell);
    // A finger or a pen cannot point without pressing: the first tap explains a weight, the next one masks.  The page
    // opens with a selected weight, which no tap has explained.
    const isTap = ["touch", "pen"].includes(pressedBy) && stage === "weights" && position.row >= 0;
    const cell = event.target.closest("[data-row]");
    const explains = isTap && !(wasSelected && cell === tapped);
    tapped = isTap ? cell : null;
    pressedBy = null;
    steering.moveTo(position.row, position.column);
    if (!explains) steering.act(position.row, position.column);
  });

  const isColoursOnly = () => model.fit.density === "colours";

  const nameCell = (row, column) => cells[row][column].setAttribute("aria-label", model.cell(row, column).label());

  const isSelected = ({ row, column }) => model.selected?.row === row && model.selected?.column === column;

  function build() {
    columnHeads = model.columns.map((_, column) =>
      element(
        "th",
        {
          scope: "col",
          role: "columnheader",
          "data-row": -1,
          "data-column": column,
          tabindex: on.toggleColumn ? -1 : null,
        },
        element("span"),
      ),
    );
    rowHeads = model.rows.map(() => element("th", { scope: "row", role: "rowheader" }, element("span")));
    cells = model.rows.map((_, row) =>
      model.columns.map((_, column) =>
        element("td", { role: "gridcell", "data-row": row, "data-column": column, tabindex: -1 }, element("span")),
      ),
    );
    const head = element("tr", { role: "row" }, element("td", { role: "presentation" }), ...columnHeads);
    const body = cells.map((line, row) => element("tr", { role: "row" }, rowHeads[row], ...line));
    table.replaceChildren(
      element("thead", { role: "rowgroup" }, head),
      element("tbody", { role: "rowgroup" }, ...body),
    );
  }

  function paint() {
    const { density, heads, head, headFont, cell, font } = model.fit;
    // Cells that were colours alone have no colour for their numbers.
    if (table.dataset.density !== density) for (const each of cells.flat()) painted.delete(each);
    setAttributes(table, { "aria-label": model.label, "data-density": density, "data-heads": heads });
    const sizes = { head, "head-font": headFont, size: cell, font };
    for (const [name, pixels] of Object.entries(sizes)) setStyle(table, `--${name}`, `${pixels}px`);
    setStyle(table, "--columns", String(model.columns.length));
    if (on.toggleColumn)
      columnHeads.forEach((head, column) => setAttributes(head, { "aria-label": model.columnLabel(column) }));
    const paintCell = isColoursOnly() ? paintColour : model.isPassing ? paintPassing : paintNumber;
    cells.forEach((line, row) => line.forEach((cell, column) => paintCell(cell, model.cell(row, column))));
  }

  function select() {
    paintHeads(rowHeads, model.rows, (row) => row === model.active?.row);
    paintHeads(columnHeads, model.columns, (column) => column === model.active?.column);
    selected?.setAttribute("aria-selected", "false");
    selected = model.selected ? cells[model.selected.row][model.selected.column] : null;
    selected?.setAttribute("aria-selected", "true");
    differing?.removeAttribute("data-differs");
    differing = model.differs ? cells[model.differs.row]?.[model.differs.column] : null;
    differing?.setAttribute("data-differs", "");
  }

  return {
    // `repaints` is false when nothing but the selection has changed since the last update.
    update(next, repaints) {
      const same = model && model.rows.length === next.rows.length && model.columns.length === next.columns.length;
      model = next;
      const held = table.contains(document.activeElement) ? positionOf(document.activeElement) : null;
      if (!same) build();
      if (!same || repaints) paint();
      if (same && held?.row >= 0) nameCell(held.row, held.column);
      select();
      steering.settle(model.selected ?? null);
      if (held && !same)
        steering.moveTo(Math.min(held.row, cells.length - 1), Math.min(held.column, cells[0].length - 1));
    },
    focusCell: (row, column) => steering.moveTo(row, column),
  };
}

function paintHeads(heads, names, isActive) {
  heads.forEach((head, index) => {
    setText(head.firstChild, names[index]);
    head.title = names[index];
    head.classList.toggle("active", isActive(index));
  });
}

function paintNumber(cell, { text, background, colour, label, hidden, value }) {
  setText(cell.firstChild, text);
  setAttributes(cell, { "aria-label": label(), "data-hidden": hidden, "data-value": value });
  if (painted.get(cell) !== background) paintBackground(cell, background, colour());
}

// A number that the next one follows at once is not said.
function paintPassing(cell, { text, background, colour, hidden }) {
  setText(cell.firstChild, text);
  if (cell.hasAttribute("data-hidden") !== hidden) setAttributes(cell, { "data-hidden": hidden });
  if (painted.get(cell) === background) return;
  paintBackground(cell, background, colour());
}

function paintBackground(cell, background, ink) {
  painted.set(cell, background);
  cell.style.setProperty("--cell", background);
  cell.style.setProperty("--ink", ink);
}

// Thousands of cells are painted in one go; each says what it is when it is reached.
function paintColour(cell, { background, hidden }) {
  if (cell.firstChild.firstChild) setText(cell.firstChild, "");
  if (cell.hasAttribute("data-hidden") !== hidden) setAttributes(cell, { "data-hidden": hidden });
  if (painted.get(cell) === background) return;
  painted.set(cell, background);
  cell.style.setProperty("--cell", background);
}

function positionOf(target) {
  const cell = target.closest?.("[data-row]");
  return cell ? { row: Number(cell.dataset.row), column: Number(cell.dataset.column) } : null;
}
