// A window at full resolution over a large matrix: pointer, keys and numbers move it, and it tells the cell in its middle.
import { isVisibleAt } from "../../asking/large.js";
import { shareBy } from "../../maps/overview_picture.js";
import { drawCells, pixelsOf } from "../../maps/raster.js";
import { element, setAttributes, setStyle, setText } from "../../page/dom.js";
import { t } from "../../words/i18n.js";
import { formatFull, formatNumber, parseNumber } from "../../words/numbers.js";
import { WINDOWS } from "./fields.js";

const WINDOW_PIXELS = 512;

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

// `map` holds the overview and its `frame`; `moved` is called with the place whenever a person has moved it.
export function createFocusWindow({ map, frame, canvas, moved }) {
  const place = { row: 0, column: 0, size: WINDOWS[2] };
  let matrix = null;
  let look = null;
  const value = element("output", { class: "overview-value" });
  const close = element("canvas", { "aria-hidden": "true" });
  const mark = element("span", { class: "overview-mark", "aria-hidden": "true" });
  const inside = element("div", { class: "overview-close", tabindex: "0", role: "application" }, close, mark);
  const span = element("p", { class: "hint" });
  const help = element("p", { class: "hint" });
  const find = { row: createFind("row"), column: createFind("column") };
  const zoom = element("select", {}, ...WINDOWS.map((size) => element("option", { value: size }, `${size} × ${size}`)));
  const zoomLabel = element("span");
  const fields = [find.row.root, find.column.root, element("label", {}, zoomLabel, zoom)];
  const tools = element("div", {}, element("div", { class: "overview-find" }, ...fields), value);
  const root = element("section", { class: "overview-window" }, inside, span, help);

  zoom.addEventListener("change", () => go({ size: Number(zoom.value) }));
  for (const target of [map, inside]) target.addEventListener("keydown", onKey);
  map.addEventListener("pointerdown", point);
  map.addEventListener("pointermove", (event) => event.buttons && point(event));
  inside.addEventListener("click", ({ clientX, clientY }) => {
    const { left, top, width, height } = inside.getBoundingClientRect();
    const { row, column, rows, columns } = shownPart();
    go({
      row: row + Math.floor(((clientY - top) / height) * rows),
      column: column + Math.floor(((clientX - left) / width) * columns),
    });
  });

  function createFind(axis) {
    const label = element("span");
    const input = element("input", { type: "text", inputmode: "numeric", autocomplete: "off", "data-find": axis });
    input.addEventListener("input", () => {
      const number = parseNumber(input.value);
      const isRight = Number.isInteger(number) && number >= 1 && number <= matrix[`${axis}s`];
      setAttributes(input, { "aria-invalid": isRight ? null : "true" });
      if (isRight) go({ [axis]: number - 1 });
    });
    return { root: element("label", {}, label, input), label, input };
  }

  function point(event) {
    if (!matrix) return;
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const { block, width: blocks, height: lines } = matrix.blocks;
    go({
      row: Math.floor(((event.clientY - top) / height) * lines * block),
      column: Math.floor(((event.clientX - left) / width) * blocks * block),
    });
  }

  function onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !matrix) return;
    const next = destination(event);
    if (!next) return;
    event.preventDefault();
    go(next);
  }

  function destination({ key, shiftKey }) {
    const { row, column, size } = place;
    if (Object.hasOwn(STEPS, key)) {
      const [down, right] = STEPS[key].map((step) => step * (shiftKey ? size : 1));
      return { row: row + down, column: column + right };
    }
    if (key === "Home") return { column: 0 };
    if (key === "End") return { column: matrix.columns - 1 };
    if (key === "PageUp" || key === "PageDown") return { row: row + (key === "PageUp" ? -size : size) };
    const step = { "+": -1, "=": -1, "-": 1, "−": 1 }[key];
    return step ? { size: WINDOWS[WINDOWS.indexOf(size) + step] ?? size } : null;
  }

  function go(next) {
    if (!matrix) return;
    settle(next);
    draw();
    moved(place);
  }

  function settle(next) {
    Object.assign(place, next);
    if (!matrix) return;
    place.row = Math.min(matrix.rows - 1, Math.max(0, place.row));
    place.column = Math.min(matrix.columns - 1, Math.max(0, place.column));
  }

  // The first cell of the window, and how many it shows.
  function shownPart() {
    const part = (at, count) => {
      const size = Math.min(place.size, count);
      return [Math.max(0, Math.min(count - size, at - Math.floor(size / 2))), size];
    };
    const [[row, rows], [column, columns]] = [part(place.row, matrix.rows), part(place.column, matrix.columns)];
    return { row, rows, column, columns };
  }

  function draw() {
    const { row, rows, column, columns } = shownPart();
    const pixel = pixelsOf(matrix.stage === "weights" ? "sequential" : "diverging", look.theme);
    const share = shareBy(look.scale, matrix.stage, matrix.largest);
    const numberAt = (i, j) => matrix.values[i * matrix.columns + j];
    const scaleOf = (i) => (look.scale === "row" ? Math.abs(matrix.rowLargest[i]) || 1 : 1);
    drawCells(close, {
      rows,
      columns,
      size: Math.max(1, Math.floor(WINDOW_PIXELS / Math.max(rows, columns))),
      theme: look.theme,
      pixelAt: (i, j) =>
        isVisibleAt(matrix.problem.mask, row + i, column + j)
          ? pixel(share(numberAt(row + i, column + j) / scaleOf(row + i)))
          : null,
    });
    const { block, width, height } = matrix.blocks;
    put(frame, row / (height * block), column / (width * block), rows / (height * block), columns / (width * block));
    put(mark, (place.row - row) / rows, (place.column - column) / columns, 1 / rows, 1 / columns);
    tell({ row, rows, column, columns }, numberAt(place.row, place.column));
  }

  function tell({ row, rows, column, columns }, number) {
    const isVisible = isVisibleAt(matrix.problem.mask, place.row, place.column);
    const largest = matrix.rowLargest[place.row];
    setText(
      value,
      t(isVisible ? "overview.cell" : "overview.cell_hidden", {
        row: place.row + 1,
        column: place.column + 1,
        number: formatNumber(number, 6),
        largest: formatNumber(largest, 4),
      }),
    );
    value.title = formatFull(number);
    value.dataset.value = String(number);
    setText(span, t("overview.window", { first: row + 1, last: row + rows, from: column + 1, to: column + columns }));
    zoom.value = String(place.size);
    for (const [axis, { input }] of Object.entries(find)) {
      if (document.activeElement === input) continue;
      input.value = String(place[axis] + 1);
      setAttributes(input, { "aria-invalid": null });
    }
    nameFor(matrix);
  }

  // Names every part for a matrix that may be yet to be drawn.
  function nameFor(named) {
    setText(help, t("overview.keys_help"));
    setText(zoomLabel, t("overview.zoom"));
    for (const [axis, { label }] of Object.entries(find))
      setText(label, t(`overview.find_${axis}`, { most: named[`${axis}s`] }));
    for (const [target, name] of [[map, "map"], [inside, "close"]])
      setAttributes(target, { "aria-label": t(`overview.${name}_label`) });
  }

  return {
    root,
    tools,
    nameFor,
    show(next, nextLook) {
      [matrix, look] = [next, nextLook];
      settle({});
      draw();
    },
    // The place of a link, or of an undone edit.
    move({ row, column, size }) {
      if (row === place.row && column === place.column && size === place.size) return;
      settle({ row, column, size });
      if (matrix?.blocks) draw();
    },
  };
}

function put(target, top, left, height, width) {
  for (const [name, share] of Object.entries({ top, left, height, width })) setStyle(target, name, `${100 * share}%`);
}
