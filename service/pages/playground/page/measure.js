// How wide texts are in the fonts of the page, in pixels.
const context = document.createElement("canvas").getContext("2d");

const SIZE = 100;

let family = "";

let letters = new Map();

// The family changes with the language; `document.fonts` changes nothing, as every font is one of the system.
function fontOf() {
  const now = getComputedStyle(document.body).fontFamily;
  if (now === family) return;
  family = now;
  letters = new Map();
  context.font = `${SIZE}px ${family}`;
}

function letterWidth(letter) {
  if (!letters.has(letter)) letters.set(letter, context.measureText(letter).width / SIZE);
  return letters.get(letter);
}

// The sum of its letters: exact for figures, which are tabular, and an upper bound for words, which are kerned.
export function widthOf(text, pixels) {
  fontOf();
  let width = 0;
  for (const letter of text) width += letterWidth(letter);
  return width * pixels;
}

export const widestOf = (texts, pixels) => texts.reduce((most, text) => Math.max(most, widthOf(text, pixels)), 0);

const WORD = /[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]|[^\s\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]+/gu;

// The widest piece that no line break may part: a word, or one Chinese character.
export const widestWordOf = (texts, pixels) =>
  widestOf(
    texts.flatMap((text) => text.match(WORD) ?? []),
    pixels,
  );
