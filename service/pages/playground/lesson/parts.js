// Parts of the page that the lesson speaks of: highlighted, or covered until a question is answered.
import { foldSheet } from "../explain/sheet.js";
import { setAttributes } from "../page/dom.js";

// Where each part stands, and the text that names it.
export const PARTS = {
  query: { selector: "#tensor-query", text: "tensor.query" },
  key: { selector: "#tensor-key", text: "tensor.key" },
  value: { selector: "#tensor-value", text: "tensor.value" },
  score_model: { selector: ".option:has(#score-model)", text: "option.score_model" },
  normalizer: { selector: ".option:has(#normalizer)", text: "option.normalizer" },
  scores: { selector: "#stage-scores", text: "stage.scores" },
  mask: { selector: "#stage-mask", text: "stage.mask" },
  weights: { selector: "#stage-weights", text: "stage.weights" },
  output: { selector: "#stage-output", text: "stage.output" },
  view: { selector: "#view-other", text: "view.table" },
  explain: { selector: "#explain", text: "panel.explain" },
  terms: { selector: "#explain-terms", text: "explain.terms" },
};

const STOPS = 'select, input:not([tabindex="-1"]), [tabindex="0"]';

const prefersStillness = matchMedia("(prefers-reduced-motion: reduce)");

// Where the lesson stays at the top of the window while the page scrolls, what it speaks of comes below it.
const isSticky = matchMedia("(max-width: 1179px)");

export const placeOf = (part) => document.querySelector(PARTS[part].selector);

// `part` is null for none.
export function highlight(part) {
  const next = part && placeOf(part);
  for (const each of document.querySelectorAll("[data-lesson-part]"))
    if (each !== next) setAttributes(each, { "data-lesson-part": null, "aria-current": null });
  if (next) setAttributes(next, { "data-lesson-part": true, "aria-current": "step" });
}

// Covered parts can neither be seen nor reached; `text` stands in their place.
export function cover(parts, text) {
  const covered = parts.map(placeOf);
  for (const each of document.querySelectorAll("[data-covered]"))
    if (!covered.includes(each)) setAttributes(each, { "data-covered": null });
  for (const each of covered) setAttributes(each, { "data-covered": text });
}

// On a narrow screen the explanation is unfolded where the part is in it, and out of the way where it is not.
export function scrollTo(part) {
  const place = placeOf(part);
  foldSheet(!place.closest("#explain"));
  place.scrollIntoView({
    block: isSticky.matches ? "start" : "nearest",
    behavior: prefersStillness.matches ? "instant" : "smooth",
  });
}

// The keyboard goes on at the first field of the part.
export function enter(part) {
  const place = placeOf(part);
  place.querySelector(STOPS)?.focus({ preventScroll: true });
  scrollTo(part);
}
