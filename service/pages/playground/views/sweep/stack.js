// Plots one above the other over the same axis, and the slider below them, which is the cursor of them all.
import { element, setAttributes, setStyle, setText } from "../../page/dom.js";
import { widestOf } from "../../page/measure.js";
import { createPlot, FONT, roomFor } from "./plot.js";

const LEFT = 40;

// For lines without names: half the text of the last tick.
const MIN_RIGHT = 16;

// Half the thumb of the slider, which is at a step with its middle.
const HALF_THUMB = 12;

// `heights` holds the height of each plot; `step` is called with the step that the cursor is moved to, `release` when
// it comes to rest.
export function createStack({ heights, step, release }) {
  // The arrow keys go on from where the pointer was.
  const grab = () => slider.focus({ preventScroll: true });
  const figures = heights.map((height) => {
    const title = element("span");
    const number = element("b");
    const plot = createPlot({ height, grab, step, release });
    return { root: element("figure", {}, element("figcaption", {}, title, " ", number), plot.root), title, number, plot };
  });
  const slider = element("input", { type: "range", min: "0", step: "1", class: "cursor-slider" });
  const root = element("div", { class: "plots" }, ...figures.map((figure) => figure.root), slider);
  let drawn = null;
  let pointed = null;
  let width = 0;

  slider.addEventListener("input", () => step(Number(slider.value)));
  // A slider that comes back to where it was reports no change.
  for (const type of ["change", "pointerup", "pointercancel", "touchend", "keyup", "blur"])
    slider.addEventListener(type, release);

  new ResizeObserver(() => {
    if (!drawn || !root.clientWidth || root.clientWidth === width) return;
    draw(drawn);
    point(pointed);
  }).observe(root);

  function draw(next) {
    drawn = next;
    width = root.clientWidth || width;
    const names = next.figures.flatMap(({ lines }) => lines.map(({ name }) => name ?? ""));
    const right = width - Math.max(MIN_RIGHT, roomFor(widestOf(names, FONT), width));
    const frame = { width, left: LEFT, right };
    const last = next.figures.findLastIndex(({ isEmpty }) => !isEmpty);
    next.figures.forEach((content, index) => {
      const { root: figure, title, plot } = figures[index];
      figure.hidden = content.isEmpty;
      setText(title, content.title);
      plot.draw({ ...content, axis: next.axis, mark: next.mark, steps: next.steps, hasTicks: index === last, frame });
    });
    setAttributes(slider, { max: next.axis.steps, "aria-label": next.label });
    setStyle(slider, "--start", `${LEFT - HALF_THUMB}px`);
    setStyle(slider, "--room", `${right - LEFT + 2 * HALF_THUMB}px`);
  }

  // `next` holds the step, its text, and for each plot the values of its lines and the number beside its title.
  function point(next) {
    pointed = next;
    const nearest = Math.round(Math.min(drawn.axis.steps, Math.max(0, next.step || 0)));
    if (Number(slider.value) !== nearest) slider.value = String(nearest);
    setAttributes(slider, { "aria-valuetext": next.text });
    next.figures.forEach(({ values, number }, index) => {
      setText(figures[index].number, number);
      figures[index].plot.point(next.step, values);
    });
  }

  return { root, draw, point };
}
