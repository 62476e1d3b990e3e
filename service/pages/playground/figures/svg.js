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

export const textOf = (drawing) => `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(drawing)}\n`;
