// A formula as one line of text for a drawing: MathML is no part of SVG.
import { svg } from "./svg.js";

const SHIFTS = { msub: [-1], msup: [1], msubsup: [-1, 1] };

const SIZE = 0.72;

const TIGHT = new Set(["(", ")", "[", "]", ";", ",", "‖", "⊤", "√", "∑"]);

// Returns pieces {text, shift}: shift is −1 for an index, 1 for an exponent, and 0.5 for the index of an exponent.
function piecesOf(node, shift = 0) {
  const name = node.localName;
  const children = [...node.children];
  if (name in SHIFTS)
    return [
      ...piecesOf(children[0], shift),
      ...SHIFTS[name].flatMap((own, at) => piecesOf(children[at + 1], shift ? shift + own / 2 : own)),
    ];
  if (name === "mfrac") return [...grouped(children[0], shift), { text: " / ", shift }, ...grouped(children[1], shift)];
  if (name === "msqrt") return [{ text: "√", shift }, ...children.flatMap((child) => grouped(child, shift))];
  if (children.length) return children.flatMap((child) => piecesOf(child, shift));
  return [{ text: name === "mo" && !shift ? spaced(node.textContent) : node.textContent, shift }];
}

const spaced = (sign) => (TIGHT.has(sign) ? (sign === "," || sign === ";" ? `${sign} ` : sign) : ` ${sign} `);

function grouped(node, shift) {
  const pieces = piecesOf(node, shift);
  const isSum = pieces.some((piece) => piece.shift === shift && /[+−∑/·]/.test(piece.text));
  return isSum ? [{ text: "(", shift }, ...pieces, { text: ")", shift }] : pieces;
}

// `math` is what mathOf returns; a fraction becomes a quotient, with parentheses where it has more than one factor.
export function formulaText(math, remark, x, y, size, attributes) {
  const text = svg("text", { x, y, "font-size": size, "xml:space": "preserve", ...attributes });
  let at = 0;
  for (const { text: piece, shift } of joined([...piecesOf(math), { text: remark ? ` ${remark}` : "", shift: 0 }])) {
    const to = -shift * size * 0.3;
    const moved = { dy: at === to ? null : Number((to - at).toFixed(2)), "font-size": shift ? size * SIZE : null };
    text.append(svg("tspan", moved, piece));
    at = to;
  }
  return text;
}

// Neighbours on one level become one piece, with single spaces.
function joined(pieces) {
  const found = [];
  for (const piece of pieces) {
    const last = found.at(-1);
    if (last?.shift === piece.shift) last.text += piece.text;
    else found.push({ ...piece });
  }
  return found.map(({ text, shift }) => ({
    text: text.replace(/\s+/g, " ").replace(/([(=] )?− (?=\S)/g, (sign, before) => (before ? `${before}−` : sign)),
    shift,
  }));
}
