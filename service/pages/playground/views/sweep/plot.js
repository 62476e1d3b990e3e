// One plot of lines over the steps of an axis, with a cursor.  Lines differ in colour and in their dashes.
import { setAttributes, svgElement } from "../../page/dom.js";
import { fitted, spread } from "../fitted.js";

export const LOOKS = 8;

export const FONT = 11;

const TOP = 10;

const BOTTOM = 8;

const TICK_ROOM = 20;

const LINE_HEIGHT = 14;

// Between the end of a line and its label.
const LEADER = 14;

// `grab` is called when the pointer presses, `step` with the step that it is at, `release` when it lets go.
export function createPlot({ height, grab, step, release }) {
  const drawing = svgElement("g");
  const cursor = svgElement("g", { class: "cursor" });
  const root = svgElement("svg", { class: "plot", role: "img" }, drawing, cursor);
  let frame = null;
  let content = null;
  let pointer = null;

  function stepAt(event) {
    const share = (event.clientX - root.getBoundingClientRect().left - frame.left) / (frame.right - frame.left);
    step(Math.round(Math.min(1, Math.max(0, share)) * content.axis.steps));
  }

  root.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !content) return;
    pointer = event.pointerId;
    root.setPointerCapture(pointer);
    grab();
    stepAt(event);
  });
  root.addEventListener("mousedown", (event) => event.preventDefault());
  root.addEventListener("pointermove", (event) => {
    if (event.pointerId === pointer) stepAt(event);
  });
  for (const type of ["pointerup", "pointercancel"])
    root.addEventListener(type, () => {
      pointer = null;
      release();
    });

  return {
    root,
    // `next` holds axis, label, y {low, high, ticks}, steps, lines, mark, hasTicks, and the frame {width, left, right}; a
    // line its name, its values at the steps and its look, which is null for one of many.
    draw(next) {
      content = next;
      frame = { ...next.frame, top: TOP, bottom: height - BOTTOM };
      const room = next.hasTicks ? TICK_ROOM : 0;
      setAttributes(root, { "aria-label": next.label, width: frame.width, height: height + room });
      const scales = scalesOf(next, frame);
      drawing.replaceChildren(
        ...yTicks(next, frame, scales),
        ...xTicks(next, frame, scales),
        ...next.lines.map((line) => svgElement("path", { class: classOf(line), d: pathOf(line, next.steps, scales) })),
        ...labelsOf(next, frame, scales),
      );
    },
    // A step that is not on the axis has no cursor.
    point(at, values) {
      const { x, y } = scalesOf(content, frame);
      const isOutside = !(at >= 0 && at <= content.axis.steps);
      const dots = content.lines.map((line, index) => [line, values[index]]).filter(([line, value]) => line.look !== null && Number.isFinite(value));
      cursor.replaceChildren(
        ...(isOutside
          ? []
          : [
              svgElement("line", { x1: x(at), x2: x(at), y1: frame.top, y2: frame.bottom }),
              ...dots.map(([line, value]) => svgElement("circle", { class: classOf(line), cx: x(at), cy: y(value), r: 3.5 })),
            ]),
      );
    },
  };
}

const classOf = ({ look }) => (look === null ? "line rest" : `line look-${look}`);

function scalesOf({ axis, y }, frame) {
  const digits = (pixels) => Number(pixels.toFixed(2));
  return {
    x: (step) => digits(frame.left + ((frame.right - frame.left) * step) / Math.max(1, axis.steps)),
    y: (value) => digits(frame.bottom - ((frame.bottom - frame.top) * (value - y.low)) / (y.high - y.low)),
  };
}

function pathOf({ values }, steps, { x, y }) {
  let pen = "M";
  const parts = values.map((value, index) => {
    if (!Number.isFinite(value)) {
      pen = "M";
      return "";
    }
    const part = `${pen}${x(steps[index])} ${y(value)}`;
    pen = "L";
    return part;
  });
  return parts.join("");
}

const textAt = (x, y, anchor, text) => svgElement("text", { x, y, "text-anchor": anchor }, text);

function yTicks({ y: { ticks } }, { left, right }, { y }) {
  return ticks.flatMap(({ value, text }) => [
    svgElement("line", { class: "grid", x1: left, x2: right, y1: y(value), y2: y(value) }),
    textAt(left - 6, y(value) + 4, "end", text),
  ]);
}

function xTicks({ axis, mark, hasTicks }, frame, { x }) {
  const across = (name, step) => svgElement("line", { class: name, x1: x(step), x2: x(step), y1: frame.top, y2: frame.bottom });
  const lines = axis.ticks().map(({ step }) => across("grid", step));
  const texts = axis.ticks().map(({ step, text }) => textAt(x(step), frame.bottom + BOTTOM + FONT + 2, "middle", text));
  return [...lines, ...(mark === null ? [] : [across("mark", mark)]), ...(hasTicks ? texts : [])];
}

// Names stand at the ends of their lines, moved apart where they would meet.
function labelsOf({ lines, steps }, frame, { x, y }) {
  const named = lines.filter(({ name, values }) => name && values.some(Number.isFinite));
  const ends = named.map(({ values }) => {
    const last = values.findLastIndex(Number.isFinite);
    return { x: x(steps[last]), y: y(values[last]) };
  });
  const places = spread(ends.map((end) => end.y), LINE_HEIGHT, frame.top, frame.bottom);
  return named.flatMap((line, index) => {
    const end = ends[index];
    const to = frame.right + LEADER;
    return [
      svgElement("path", { class: `leader ${classOf(line)}`, d: `M${end.x} ${end.y}L${to} ${places[index]}` }),
      textAt(to + 4, places[index] + 4, "start", fitted(line.name, frame.width - to - 4, FONT)),
    ];
  });
}

// How much room the labels of lines take on the right.
export const roomFor = (widest, width) => Math.min(widest + LEADER + 6, 0.36 * width);
