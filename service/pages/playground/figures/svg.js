// Elements of SVG, and the text of a whole drawing.
import { setAttributes } from "../page/dom.js";

export const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

// A line of text with its baseline at y.
export const line = (x, y, text, attributes = {}) => svg("text", { x: rounded(x), y: rounded(y), ...attributes }, text);

export const rounded = (value) => Number(value.toFixed(2));

// Letters that XML cannot hold, which a name in a link may have.
const UNFIT = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu;

export const textOf = (drawing) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(drawing).replace(UNFIT, "\ufffd")}\n`;
