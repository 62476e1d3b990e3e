// Errors beside their fields, in the language of the page: first the page's text, then the service's.
import { byId, element } from "./dom.js";
import { has, t } from "../words/i18n.js";
import { pastOf } from "../asking/request.js";
import { announce } from "./notices.js";
import { FURTHER, LIST_KINDS } from "../state/further.js";
import { ownIndexOf } from "../state/slices.js";
import { sizesOf } from "../state/store.js";

const PLACES = [
  [/^\/(query|key|value|memory)\b/, ([, name]) => name],
  [/^\/mask\/key_lengths/, () => "mask/length"],
  [/^\/mask\/window\/(left|right)/, ([, side]) => `mask/${side}`],
  [/^\/mask\/(formula|parameters|prefix_lengths|key_allowed)/, ([, name]) => `mask/${name}`],
  [/^\/(softcap|bias|dtype)/, ([, name]) => name],
  [/^\/past_(key|value)/, () => "past_key"],
  [/^\/position\/(\w+)/, ([, name]) => `position/${name}`],
  [/^\/position$/, () => "position/name"],
  [/^\/(score_modifier|positions)\/(\w+)/, ([, member, name]) => `${member}/${name}`],
  [/^\/(score_modifier|positions)/, () => "further"],
  [/^\/mask\/offset/, () => "mask/offset"],
  [/^\/mask/, () => "mask"],
  [/^\/(score_model|normalizer)\/(\w+)/, ([, choice, parameter]) => `${choice}/${parameter}`],
  [/^\/(score_model|normalizer)/, ([, choice]) => choice],
];

// Fields whose sizes follow from Q, K and heads.
const SIZED = /^(bias|position\/|past_key)/;

const LISTS = new Set(FURTHER.filter(({ kind }) => LIST_KINDS.includes(kind)).map(({ place }) => place));

// The fields that hold something unreadable, by place; the results are stale as long as there is one.  A report with
// `blocks: false` is of something that was refused and has changed nothing: it stays until the next change.  The
// fields are those of `root`.
export function createReports(changed, root = byId("inputs")) {
  const local = new Map();
  const refused = new Map();
  let remote = new Map();

  const foundAt = (place) => refused.get(place) ?? local.get(place);

  function report(place, found) {
    const old = foundAt(place);
    if (!found && !old) return;
    if (found && JSON.stringify(found) !== JSON.stringify(old)) announce(t(found.key, found.values));
    refused.delete(place);
    if (found?.blocks === false) refused.set(place, found);
    else if (found) local.set(place, found);
    else local.delete(place);
    changed();
  }
  report.clear = (prefix) => {
    const places = new Set([...local.keys(), ...refused.keys()]);
    for (const place of [...places].filter((each) => each.startsWith(prefix))) report(place, null);
  };

  return {
    report,
    isBlocked: () => local.size > 0,
    isUnreadable: (place) => local.has(place),
    dropRefused() {
      if (!refused.size) return;
      refused.clear();
      changed();
    },
    // Returns whether every error of the problem found its field.
    place(problem, state) {
      remote = new Map();
      for (const { pointer, detail } of problem?.errors ?? []) {
        const place = placeOf(pointer, root);
        if (place) remote.set(place, { ...wordsFor(problem.slug, place, state), detail, cell: cellOf(pointer, state) });
      }
      for (const { key, values } of remote.values()) announce(t(key, values));
      return Boolean(problem) && remote.size > 0 && remote.size === problem.errors.length;
    },
    // For each tensor the row and column that a pointer names.
    pointed: () => Object.fromEntries([...remote].map(([place, { cell }]) => [place, cell])),
    paint() {
      for (const target of root.querySelectorAll("[data-place]")) {
        const { place } = target.dataset;
        paintPlace(target, foundAt(place) ?? remote.get(place));
      }
    },
  };
}

function placeOf(pointer, root) {
  for (const [pattern, name] of PLACES) {
    const found = pattern.exec(pointer.replace(/^\/request(?=\/)/, ""));
    if (!found) continue;
    const place = name(found);
    return root.querySelector(`[data-place="${CSS.escape(place)}"]`) ? place : place.split("/")[0];
  }
  return null;
}

// The row and column of a tensor on the screen; none in another slice.
function cellOf(pointer, state) {
  const [, name, ...indices] = pointer.replace(/^\/request(?=\/)/, "").split("/");
  if (!["query", "key", "value"].includes(name)) return { row: null, column: null };
  const own = state.memory ? [] : ownIndexOf(state, name, state.batch);
  const numbers = indices.map(Number);
  if (numbers.slice(0, own.length).some((at, axis) => at !== own[axis])) return { row: null, column: null };
  const [row, column] = numbers.slice(own.length);
  const past = name === "query" ? 0 : pastOf(state);
  return { row: row === undefined ? null : row + past, column: column ?? null };
}

function wordsFor(slug, place, state) {
  const sizes = sizesOf(state);
  if (slug === "shape-mismatch" && has(`problem.shape_${place}`))
    return { key: `problem.shape_${place}`, values: sizes };
  if (slug === "shape-mismatch" && LISTS.has(place)) return { key: "problem.shape_entries", values: {} };
  if (slug === "shape-mismatch" && SIZED.test(place)) return { key: "problem.shape_sized", values: {} };
  if (slug === "unknown-name" && place === "memory") return { key: "problem.memory_gone", values: {} };
  if (slug === "unknown-name" && place.endsWith("/formula")) return { key: "problem.formula_name", values: {} };
  if (place === "normalizer" && state.normalizer.name === "proportional")
    return { key: "problem.proportional", values: {} };
  return { key: has(`problem.${slug}`) ? `problem.${slug}` : "problem.other", values: {} };
}

function paintPlace(target, found) {
  target.hidden = !found;
  if (found) target.closest("details")?.setAttribute("open", "");
  const written = found ? [t(found.key, found.values), found.detail ?? ""] : [];
  if (target.dataset.written === JSON.stringify(written)) return;
  target.dataset.written = JSON.stringify(written);
  target.replaceChildren(
    ...(found ? [element("span", {}, written[0])] : []),
    ...(found?.detail ? [element("small", { lang: "en" }, found.detail)] : []),
  );
}
