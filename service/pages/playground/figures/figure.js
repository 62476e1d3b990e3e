// A whole drawing: one map, or all four with formulas, caption and settings.
import { cellsOf } from "../maps/cells.js";
import { latexOf } from "../maps/formula.js";
import { mathOf } from "../maps/latex.js";
import { STAGES } from "../maps/pipeline.js";
import { widthOf } from "../page/measure.js";
import { t } from "../words/i18n.js";
import { captionOf } from "./caption.js";
import { INK, drawMap } from "./map.js";
import { SVG, line, rounded, svg } from "./svg.js";

const MARGIN = 24;

const GAP = 32;

const CAPTION_FONT = 12;

const LINE = 18;

const FAMILIES = {
  en: "system-ui, sans-serif",
  zh: "system-ui, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif",
};

export const CIRCLED = { scores: "①", mask: "②", weights: "③", output: "④" };

function hatching(theme) {
  const [ink, size] = [INK[theme], 6];
  const ground = svg("rect", { width: size, height: size, fill: ink.page });
  const lines = svg("path", { d: "M-1.5 1.5l3 -3M0 6l6 -6M4.5 7.5l3 -3", stroke: ink.hatch, "stroke-width": 1.2 });
  return svg(
    "defs",
    {},
    svg("pattern", { id: "hatched", width: size, height: size, patternUnits: "userSpaceOnUse" }, ground, lines),
  );
}

// Two maps share a line where both are no wider than half of it.
function arranged(maps) {
  const isPaired = maps.length > 1 && Math.max(...maps.map(({ width }) => width)) <= 560;
  const columns = isPaired ? 2 : 1;
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...maps.filter((_, at) => at % columns === column).map(({ width }) => width)),
  );
  let y = 0;
  maps.forEach((map, at) => {
    const column = at % columns;
    map.drawn.setAttribute("transform", `translate(${column ? widths[0] + GAP : 0} ${rounded(y)})`);
    const line = maps.slice(at - column, at - column + columns);
    if (column === columns - 1 || at === maps.length - 1) y += Math.max(...line.map(({ height }) => height)) + GAP - 8;
  });
  return { width: widths.reduce((sum, width) => sum + width, GAP * (columns - 1)), height: y };
}

function brokenInto(text, room) {
  const lines = [""];
  for (const word of text.match(/[\u2e80-\u9fff\uff00-\uffef]|[^\s\u2e80-\u9fff\uff00-\uffef]+\s*|\s+/gu) ?? []) {
    const next = lines.at(-1) + word;
    if (lines.at(-1) && widthOf(next, CAPTION_FONT) * 1.08 > room) lines.push(word.trimStart());
    else lines[lines.length - 1] = next;
  }
  return lines;
}

// `what` is a stage, or "figure" for all.  Returns the svg element; `title` is that of the example.
export function drawFigure({ what, shown, catalogue, theme, title }) {
  const { view, numbers } = shown;
  const ink = INK[theme];
  const cells = cellsOf(view, numbers, theme);
  const latex = latexOf(view, catalogue);
  const isWhole = what === "figure";
  const stages = (isWhole ? STAGES : [what]).filter((stage) => cells[stage]?.rows);
  const maps = stages.map((stage) =>
    drawMap({
      stage,
      number: isWhole ? CIRCLED[stage] : "",
      view,
      cells: cells[stage],
      math: mathOf(latex[stage]),
      theme,
    }),
  );
  const size = arranged(maps);
  const width = Math.max(size.width, isWhole ? 520 : 0);
  const settings = captionOf(shown, catalogue);
  const caption = isWhole ? settings.flatMap((text) => brokenInto(text, width)) : [];
  const heading = isWhole ? brokenInto(title, width * 0.75) : [];
  const top = heading.length ? heading.length * 24 + 14 : 0;
  const bottom = top + size.height + (caption.length ? 4 : 0);
  const height = Math.ceil(bottom + caption.length * LINE + 2 * MARGIN - (caption.length ? 0 : 16));
  const whole = { width: Math.ceil(width + 2 * MARGIN), height };
  const name = isWhole ? title : `${t(`stage.${what}`)} — ${title}`;
  return svg(
    "svg",
    {
      xmlns: SVG,
      ...whole,
      viewBox: `0 0 ${whole.width} ${whole.height}`,
      role: "img",
      "aria-labelledby": "figure-title",
      "aria-describedby": "figure-desc",
      lang: view.language === "zh" ? "zh-Hans" : "en",
      "font-family": FAMILIES[view.language],
      "font-size": 13,
      fill: ink.text,
    },
    svg("title", { id: "figure-title" }, name),
    svg("desc", { id: "figure-desc" }, [t("figure.axes"), ...settings].join(" ")),
    hatching(theme),
    svg("rect", { width: whole.width, height: whole.height, fill: ink.page }),
    svg(
      "g",
      { transform: `translate(${MARGIN} ${MARGIN})` },
      ...heading.map((text, at) => line(0, 18 + at * 24, text, { "font-size": 18, "font-weight": 600 })),
      svg("g", { transform: `translate(0 ${top})` }, ...maps.map(({ drawn }) => drawn)),
      ...caption.map((text, at) =>
        line(0, bottom + at * LINE + 12, text, { "font-size": CAPTION_FONT, fill: ink.faint }),
      ),
    ),
  );
}
