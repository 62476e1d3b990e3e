// Text in which a letter with an index, such as W_q, is set as mathematics sets it.
import { element } from "./dom.js";

const INDEXED = /\b([A-Za-z])_([a-z])\b/g;

export function setMathText(target, text) {
  if (target.dataset.written === text) return;
  target.dataset.written = text;
  const parts = [];
  let end = 0;
  for (const { 0: whole, 1: letter, 2: index, index: start } of text.matchAll(INDEXED)) {
    parts.push(text.slice(end, start), element("i", {}, letter), element("sub", {}, index));
    end = start + whole.length;
  }
  target.replaceChildren(...parts, text.slice(end));
}

// The same for those who listen.
export const spokenMath = (text) => text.replaceAll(INDEXED, "$1 $2");
