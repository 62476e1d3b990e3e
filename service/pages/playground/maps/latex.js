// The small part of LaTeX that the catalogue's formulas use, as native MathML.
import { mathElement } from "../page/dom.js";

const SYMBOLS = {
  cdot: "·",
  top: "⊤",
  circ: "∘",
  sum: "∑",
  in: "∈",
  infty: "∞",
  "|": "‖",
  times: "×",
  sqrt: "√",
  quad: " ",
  alpha: "α",
  beta: "β",
  gamma: "γ",
  lambda: "λ",
  sigma: "σ",
  tau: "τ",
  Delta: "Δ",
  theta: "θ",
};

const WORDS = new Set(["tanh", "exp", "log", "max", "min", "arg", "cos", "sin"]);

const LETTERS = new Set(["alpha", "beta", "gamma", "lambda", "sigma", "tau", "Delta", "theta"]);

const TOKEN = /\\([A-Za-z]+|.)|\s+|[\s\S]/gu;

// Reads one formula; what it does not know is shown as it is written.
export function mathOf(latex, { display = false } = {}) {
  const tokens = (latex.match(TOKEN) ?? []).filter((token) => token.trim() !== "" && token !== "\\!");
  const row = mathElement("mrow", {}, ...readUntil(tokens, null));
  return mathElement("math", { displaystyle: display ? "true" : "false" }, row);
}

function readUntil(tokens, end) {
  const made = [];
  while (tokens.length && tokens[0] !== end) {
    if (tokens[0] === "^" || tokens[0] === "_") made.push(scripts(tokens, made.pop() ?? mathElement("mrow")));
    else made.push(readOne(tokens));
  }
  tokens.shift();
  return made;
}

function scripts(tokens, base) {
  const found = {};
  while ((tokens[0] === "^" || tokens[0] === "_") && !(tokens[0] in found)) found[tokens.shift()] = readOne(tokens);
  const { _: below, "^": above } = found;
  if (below && above) return mathElement("msubsup", {}, base, below, above);
  return below ? mathElement("msub", {}, base, below) : mathElement("msup", {}, base, above);
}

function readOne(tokens) {
  const token = tokens.shift() ?? "";
  if (token === "{") return mathElement("mrow", {}, ...readUntil(tokens, "}"));
  if (token.startsWith("\\")) return command(token.slice(1), tokens);
  if (/\d/.test(token)) return mathElement("mn", {}, number(token, tokens));
  if (/\p{L}/u.test(token)) return mathElement("mi", {}, token);
  return operator(token === "-" ? "−" : token);
}

function command(name, tokens) {
  if (name === "frac") return mathElement("mfrac", {}, readOne(tokens), readOne(tokens));
  if (name === "sqrt") return mathElement("msqrt", {}, readOne(tokens));
  if (name === "mathrm" || name === "text")
    return mathElement("mi", { mathvariant: "normal" }, readOne(tokens).textContent);
  if (WORDS.has(name)) return mathElement("mi", { mathvariant: "normal" }, name);
  if (LETTERS.has(name)) return mathElement("mi", {}, SYMBOLS[name]);
  return operator(SYMBOLS[name] ?? name);
}

// Bars and brackets keep the height of a line: they stand around letters, not around towers.
const operator = (sign) => mathElement("mo", { stretchy: "false" }, sign);

function number(first, tokens) {
  let digits = first;
  while (/^[\d.]$/.test(tokens[0] ?? "")) digits += tokens.shift();
  return digits;
}
