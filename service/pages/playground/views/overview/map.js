// The picture of a large matrix: overview, marginals, what its colours mean, and the window over it.
import { drawBlocks, reduced } from "../../maps/overview_picture.js";
import { element, setText } from "../../page/dom.js";
import { language, t } from "../../words/i18n.js";
import { createScaleLegend } from "./legend.js";
import { drawMarginals } from "./margins.js";
import { createFocusWindow } from "./window.js";

const USUAL_WIDTH = 300;

const MAX_PIXEL_RATIO = 2;

const drawing = () => element("canvas", { "aria-hidden": "true" });

// `moved` is called with the place of the window whenever a person has moved it.
export function createOverviewMap({ theme, moved }) {
  const [canvas, side, foot] = [drawing(), drawing(), drawing()];
  const frame = element("span", { class: "overview-frame", "aria-hidden": "true" });
  const map = element("div", { class: "overview-map", tabindex: "0", role: "application" }, canvas, frame);
  const picture = element("div", { class: "overview-picture" }, map, side, foot);
  const margins = element("p", { class: "hint" });
  const legend = createScaleLegend();
  const whole = element("div", { class: "overview-whole" }, picture, legend.root, margins);
  const focusWindow = createFocusWindow({ map, frame, canvas, moved });
  const body = element("div", { class: "overview-body" }, whole, focusWindow.root);
  const root = element("div", { hidden: true }, focusWindow.tools, body);
  let shown = null;
  let options = null;
  let painted = "";
  new ResizeObserver(() => shown && paint()).observe(root);

  // Returns whether it has been drawn, and not given up for another picture.
  async function paint() {
    const matrix = shown;
    const { how, scale } = options;
    const width = map.clientWidth || USUAL_WIDTH;
    const pixels = width * Math.min(MAX_PIXEL_RATIO, devicePixelRatio);
    const block = Math.max(1, Math.ceil(Math.max(matrix.rows, matrix.columns) / pixels));
    const name = [block, how, scale, theme.current(), width, language()].join();
    if (painted === name && matrix.blocks) return true;
    painted = name;
    const isStale = () => shown !== matrix || painted !== name;
    const blocks = await reduced(matrix, { block, how, rowScale: scale === "row" ? matrix.rowLargest : null }, isStale);
    if (!blocks) return false;
    matrix.blocks = blocks;
    const { stage, largest, problem } = matrix;
    const look = { stage, scale, largest, mask: problem.mask, theme: theme.current() };
    drawBlocks(canvas, blocks, look);
    drawMarginals({ side, foot }, matrix, theme.current());
    legend.update(look);
    setText(margins, t(`overview.margins_${matrix.entropy ? "entropy" : "largest"}`));
    focusWindow.show(matrix, look);
    return true;
  }

  return {
    root,
    show(matrix) {
      shown = matrix;
      focusWindow.nameFor(matrix);
      root.hidden = false;
      return paint();
    },
    update(next) {
      options = next;
      focusWindow.move(options);
      if (shown) paint();
    },
  };
}
