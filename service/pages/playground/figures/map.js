// One heat map as a drawing: title, formula, names, cells with their numbers, and what the colours mean.
import { diverging, sequential } from "../maps/colours.js";
import { widestOf, widthOf } from "../page/measure.js";
import { t } from "../words/i18n.js";
import { namesOf } from "../words/names.js";
import { formatFull, formatNumber } from "../words/numbers.js";
import { formulaText } from "./formula_text.js";
import { line, rounded, svg } from "./svg.js";

export const INK = {
  light: { page: "#ffffff", text: "#18202c", faint: "#566073", line: "#c3c9d4", hatch: "#8a94a6" },
  dark: { page: "#161b22", text: "#e6eaf0", faint: "#9ba6b6", line: "#3a4452", hatch: "#667182" },
};

// Widths are measured in the fonts of this page; those of another reader may be wider.
const SLACK = 1.15;

const FONT = 13;

const NAME_FONT = 12;

const CELL_HEIGHT = 28;

const SMALL_CELL = 12;

const MAX_NAME = 150;

const LEGEND = { width: 120, height: 10 };

const wide = (texts, size) => widestOf(texts, size) * SLACK;

export function shorten(text, size, room) {
  if (widthOf(text, size) * SLACK <= room) return text;
  let kept = [...text];
  while (kept.length > 1 && widthOf(`${kept.join("")}…`, size) * SLACK > room) kept = kept.slice(0, -1);
  return `${kept.join("")}…`;
}

// Sizes of the cells and of the margins that the names need.
function layOut(cells, rows, columns) {
  const rowWidth = Math.min(MAX_NAME, wide(rows, NAME_FONT)) + 8;
  const upright = Math.min(MAX_NAME, wide(columns, NAME_FONT));
  if (!cells.hasNumbers) return { rowWidth, width: SMALL_CELL, height: SMALL_CELL, turned: true, head: upright + 8 };
  const numbers = wide(cells.texts(cells.maxDecimals), FONT) + 14;
  const turned = columns.length > 6 && upright + 8 > numbers * 1.5;
  const width = rounded(Math.max(numbers, turned ? 0 : upright + 8, 40));
  return { rowWidth, width, height: CELL_HEIGHT, turned, head: turned ? upright + 8 : NAME_FONT + 10 };
}

function nameLines(rows, columns, { rowWidth, width, height, turned, head }, ink) {
  const size = Math.min(NAME_FONT, height);
  const left = rows.map((name, row) =>
    line(rowWidth - 8, head + (row + 0.5) * height + size * 0.35, shorten(name, size, rowWidth - 8), {
      "text-anchor": "end",
    }),
  );
  const above = columns.map((name, column) => {
    const x = rowWidth + (column + 0.5) * width;
    if (!turned) return line(x, head - 8, shorten(name, size, width - 4), { "text-anchor": "middle" });
    const place = `translate(${rounded(x + size * 0.35)} ${head - 6}) rotate(-90)`;
    return svg("text", { transform: place }, shorten(name, size, head - 8));
  });
  return svg("g", { "font-size": size, fill: ink.faint }, ...left, ...above);
}

const titleOf = (cell, row, column) => {
  const number = cell.value ?? (cell.hidden ? t("legend.hidden") : cell.text);
  return t(cell.hidden && cell.value ? "figure.cell_hidden" : "figure.cell", { row, column, number });
};

function cellWithNumber(cell, x, y, { width, height }, names, ink) {
  const box = { x: rounded(x), y: rounded(y), width, height, stroke: ink.page, "stroke-width": 2 };
  const parts = [svg("title", {}, titleOf(cell, ...names)), svg("rect", { ...box, fill: cell.background })];
  if (cell.hidden) parts.push(svg("rect", { ...box, fill: "url(#hatched)" }));
  if (cell.text !== "") {
    const colour = cell.hidden
      ? { fill: ink.text, stroke: ink.page, "stroke-width": 3, "paint-order": "stroke" }
      : { fill: cell.colour() };
    parts.push(line(x + width / 2, y + height / 2 + FONT * 0.35, cell.text, { "text-anchor": "middle", ...colour }));
  }
  return svg("g", { class: "cell" }, ...parts);
}

// Cells without numbers are one path for each colour, so that a large map stays a small file.
function cellsOfColours(cells, cellAt, { rowWidth, width, height, head }) {
  const paths = new Map();
  for (let row = 0; row < cells.rows; row += 1)
    for (let column = 0; column < cells.columns; column += 1) {
      const { background, hidden } = cellAt(row, column);
      const fill = hidden ? "url(#hatched)" : background;
      const square = `M${rounded(rowWidth + column * width)} ${rounded(head + row * height)}h${width}v${height}h-${width}z`;
      if (!paths.has(fill)) paths.set(fill, []);
      paths.get(fill).push(square);
    }
  return [...paths].map(([fill, squares]) =>
    svg("path", { fill, d: squares.join(""), "shape-rendering": "crispEdges" }),
  );
}

function drawCells(cells, rows, columns, layout, ink) {
  const cellAt = cells.cellAt(cells.maxDecimals);
  if (!cells.hasNumbers) return cellsOfColours(cells, cellAt, layout);
  return rows.flatMap((row, at) =>
    columns.map((column, key) => {
      const [x, y] = [layout.rowWidth + key * layout.width, layout.head + at * layout.height];
      return cellWithNumber(cellAt(at, key), x, y, layout, [row, column], ink);
    }),
  );
}

function drawLegend(stage, scale, theme, ink) {
  const items = [];
  let x = 0;
  const word = (text) => {
    items.push(line(x, LEGEND.height, text));
    x += widthOf(text, 11) * SLACK + 8;
  };
  if (scale.kind !== "mask") {
    const colour = scale.kind === "sequential" ? sequential : (share) => diverging(2 * share - 1, theme);
    word(scale.kind === "sequential" ? "0" : formatNumber(-scale.largest, 2));
    const steps = 40;
    for (let step = 0; step < steps; step += 1)
      items.push(
        svg("rect", {
          x: rounded(x + (step * LEGEND.width) / steps),
          y: 1,
          width: LEGEND.width / steps + 0.2,
          height: LEGEND.height,
          fill: colour(step / (steps - 1)),
        }),
      );
    x += LEGEND.width + 8;
    word(formatNumber(scale.kind === "sequential" ? 1 : scale.largest, 2));
    x += 12;
  } else {
    word(t("legend.visible"));
    x += 12;
  }
  if (stage !== "output") {
    items.push(svg("rect", { x: rounded(x), y: 0, width: 14, height: 12, fill: "url(#hatched)", stroke: ink.line }));
    x += 20;
    word(t("legend.hidden"));
  }
  if (scale.outside) word(t("legend.outside"));
  return { drawn: svg("g", { "font-size": 11, fill: ink.faint }, ...items), width: x };
}

// Returns {drawn, width, height} of the map of a stage; `view` is the state with its names, `cells` what cellsOf has.
export function drawMap({ stage, number, view, cells, math, theme }) {
  const ink = INK[theme];
  const rows = namesOf(view, "query", cells.rows);
  const columns = namesOf(view, stage === "output" ? "value" : "key", cells.columns);
  const layout = layOut(cells, rows, columns);
  const title = [`${number} ${t(`stage.${stage}`)}`, 15];
  const legend = drawLegend(stage, cells.scale, theme, ink);
  const body = svg(
    "g",
    { transform: "translate(0 46)" },
    nameLines(rows, columns, layout, ink),
    ...drawCells(cells, rows, columns, layout, ink),
  );
  const bottom = 46 + layout.head + cells.rows * layout.height + 14;
  legend.drawn.setAttribute("transform", `translate(${rounded(layout.rowWidth)} ${rounded(bottom)})`);
  const formula = formulaText(math, stage === "mask" ? t("formula.mask") : "", 0, 36, FONT, { fill: ink.faint });
  const wanted = [layout.rowWidth + columns.length * layout.width, layout.rowWidth + legend.width];
  return {
    drawn: svg(
      "g",
      { class: "map", "data-stage": stage },
      line(0, 15, title[0], { "font-size": title[1], "font-weight": 600 }),
      formula,
      body,
      legend.drawn,
    ),
    width: Math.ceil(Math.max(...wanted, wide([formula.textContent], FONT), wide([title[0]], title[1]))),
    height: Math.ceil(bottom + LEGEND.height + 8),
  };
}
