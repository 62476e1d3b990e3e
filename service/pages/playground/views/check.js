// Check my kernel: what a person's own code computed, held against the service.
import { createKernelCheck } from "../asking/kernel.js";
import { STORED } from "../files/halves.js";
import { FIELDS, distinct, fieldsOfShape, rankOf } from "../files/kernel.js";
import { shapeText } from "../files/problem.js";
import { writeNpz } from "../files/npy.js";
import { save } from "../page/copying.js";
import { element, setText } from "../page/dom.js";
import { announce } from "../page/notices.js";
import { MAX_SLICES, headsOf } from "../state/slices.js";
import { LIMIT, batchesOf, sizesOf } from "../state/store.js";
import { has, t } from "../words/i18n.js";
import { createDifferences } from "./check/differences.js";
import { MAX_SHOWN_SLICES, takeIn } from "./check/intake.js";
import { createPanel } from "./check/panel.js";
import {
  axesOf,
  differencesOf,
  firstWrong,
  largestOf,
  lengthAt,
  misfitOf,
  questionOf,
  referenceRequest,
} from "./check/question.js";
import { fieldName, fieldsTable, largestTable, placeName, verdictOf } from "./check/verdict.js";

const MAX_LISTED = 5;

const AWAY = {};

const refusalOf = ({ slug, detail }) =>
  slug ? `${t(has(`problem.${slug}`) ? `problem.${slug}` : "problem.other")} ${detail}` : t("kernel.away");

const NOTHING = { candidate: null, lead: [], kv: null, dtype: "float64" };

export const check = { name: "check", options: () => structuredClone(NOTHING), readOptions, create };

const isLeaf = (leaf) => leaf === null || Number.isFinite(leaf) || leaf === "NaN" || leaf === "Infinity";

const isCount = (count) => Number.isInteger(count) && count >= 1 && count <= MAX_SLICES;

// Whether `nested` has `rank` axes of 1 to LIMIT, and numbers as JSON has them.
function isTensor(nested, rank) {
  if (rank === 0) return isLeaf(nested);
  const isList = Array.isArray(nested) && nested.length >= 1 && nested.length <= LIMIT;
  return isList && nested.every((part) => isTensor(part, rank - 1) && (rank === 1 || part.length === nested[0].length));
}

function readOptions({ candidate = null, lead = [], kv = null, dtype = "float64" }, expect) {
  expect(candidate === null || (typeof candidate === "object" && Object.keys(candidate).length > 0), "candidate");
  for (const [field, slices] of Object.entries(candidate ?? {}))
    expect(FIELDS.includes(field) && slices?.length <= MAX_SLICES && isTensor(slices, rankOf(field) + 1), "candidate");
  expect(Array.isArray(lead) && lead.length <= 2 && lead.every(isCount), "leading axes");
  expect(kv === null || (isCount(kv) && lead.length === 2 && lead[1] % kv === 0), "heads");
  expect(Object.hasOwn(STORED, dtype), "dtype");
  return { candidate, lead, kv, dtype };
}

function create({ root, theme, change, load, focus, showMaps, chooseBatch }) {
  const parts = createParts();
  const panel = createPanel({ take, download: () => saveNumbers(latest), load: loadCase });
  const differences = createDifferences({ focus: focusCell });
  parts.map.append(differences.root);
  root.append(panel.root, parts.note, parts.choices, parts.status, parts.result);
  let latest = null;
  let note = null;
  // A question whose numbers are too many for the page.
  let large = null;
  let answer = null;
  let problem = null;
  let asked = null;
  let chosen = null;
  let painted = {};

  const checking = createKernelCheck({
    answered(verdict, reference) {
      answer = { verdict, found: reference && differencesOf(asked, reference, verdict) };
      problem = null;
      paint();
      announce(parts.verdict.querySelector(".outcome")?.textContent ?? "");
    },
    failed(found) {
      answer = null;
      problem = found ?? AWAY;
      paint();
    },
  });

  function take(content, name) {
    const { options, request, question, unused, dropped } = takeIn(content, latest.state);
    begin(question ?? null);
    note = { name, unused, dropped };
    change((draft) => Object.assign(draft, options ?? NOTHING));
    if (request) load(request, "kernel.loaded");
  }

  function begin(question) {
    large = question;
    [answer, problem, chosen, note] = [null, null, null, null];
    checking.forget();
  }

  function loadCase(name, request) {
    begin(null);
    note = { name: t(`kernel.case_${name}`), isCase: true };
    change((draft) => Object.assign(draft, NOTHING));
    load(request, "kernel.loaded");
  }

  // The cell of the map on the maps of the page.
  function focusCell(row, column) {
    const { field } = painted;
    if (field !== "logsumexp") focus(field, row, column);
    else focus("weights", row, latest.state.focus.key);
  }

  function goTo({ field, slice, row, column }) {
    if (slice !== latest.state.batch && batchesOf(latest.state) > 1) chooseBatch(slice);
    const stage = field === "logsumexp" ? "weights" : field;
    focus(stage, row, column);
    showMaps();
    document.querySelector(`[data-stage="${stage}"] [data-row="${row}"][data-column="${column}"]`)?.focus();
  }

  parts.field.addEventListener("change", () => {
    chosen = parts.field.value;
    paint();
  });
  parts.is.addEventListener("change", () => {
    change((draft) => {
      draft.candidate = { [parts.is.value]: Object.values(draft.candidate)[0] };
    });
  });
  parts.as.addEventListener("change", () => {
    change((draft) => {
      draft.dtype = parts.as.value;
    });
  });

  function update(next) {
    latest = next;
    const { state, options, shown } = next;
    // Numbers that follow a drag are checked when they come to rest.
    if (shown.isPreview) return;
    const misfit = options.candidate && misfitOf(state, options);
    if (misfit || !(options.candidate || large)) {
      checking.forget();
      answer = null;
    } else ask();
    paint(misfit);
  }

  function ask() {
    const { state, options } = latest;
    const question = large ?? questionOf(state, options);
    if (!checking.ask(question, () => (large ? null : referenceRequest(question)))) return;
    asked = { ...options, lead: axesOf(state, options) };
    problem = null;
  }

  function paint(misfit = null) {
    const { state, options } = latest;
    panel.paint();
    paintChoices(parts, state, options);
    paintNote(misfit);
    parts.result.hidden = !answer;
    if (answer) paintAnswer();
  }

  function paintNote(misfit) {
    const said = !note ? "" : note.isCase ? t("kernel.case_loaded", note) : t("kernel.read_file", note);
    const unused = note?.unused?.length ? t("kernel.unused", { names: note.unused.join(", ") }) : "";
    const lost = note?.dropped?.length
      ? t("kernel.dropped", { names: note.dropped.map((one) => t(`advanced.${one}`)).join(t("advanced.separator")) })
      : "";
    const tooLarge = large ? t("kernel.too_large", { limit: LIMIT, slices: MAX_SHOWN_SLICES }) : "";
    setText(parts.note, [said, unused, lost, tooLarge].filter(Boolean).join(" "));
    const wrong =
      misfit &&
      t("kernel.misfit", {
        field: fieldName(misfit.field),
        expected: shapeText(misfit.expected),
        received: shapeText(misfit.received),
      });
    const refused = problem && refusalOf(problem);
    const isAsking = !answer && (latest.options.candidate || large);
    setText(parts.status, wrong || refused || (isAsking ? t("kernel.asking") : ""));
    parts.status.classList.toggle("field-error", Boolean(wrong || refused));
  }

  function paintAnswer() {
    const { verdict, found } = answer;
    const { state, shown } = latest;
    const first = found && firstWrong(found);
    const field = found && (found[chosen] ? chosen : (first?.field ?? Object.keys(found).at(-1)));
    const key = JSON.stringify([theme.current(), state.language, state.batch, state.names, field]);
    const repaints = painted.key !== key || painted.answer !== answer;
    painted = { key, field, answer };
    if (repaints) {
      parts.verdict.replaceChildren(verdictOf(verdict));
      parts.tables.replaceChildren(fieldsTable(verdict));
    }
    parts.map.hidden = !found;
    if (!found) return;
    const slice = Math.min(batchesOf(state) > 1 ? state.batch : 0, found[field].length - 1);
    const cells = found[field][slice];
    if (repaints) paintFound(found, first, field);
    const logits = shown.numbers.logits;
    const isHidden = (row, column) => ["weights", "scores"].includes(field) && logits?.[row]?.[column] === -Infinity;
    const marked = first?.field === field && first.slice === slice ? first : null;
    differences.paint({ view: shown.view, theme: theme.current(), field, cells, first: marked, isHidden }, repaints);
  }

  function paintFound(found, first, field) {
    const { view } = latest.shown;
    const sizesIn = (name) => ({ columns: found[name][0][0].length, slices: found[name].length });
    fillSelect(parts.field, Object.keys(found), fieldName, field);
    setText(parts.fieldLabel, t("kernel.difference_map"));
    if (first) {
      const go = element("button", { type: "button", class: "tool", "data-action": "go" }, t("kernel.go"));
      go.addEventListener("click", () => goTo(first));
      const place = placeName(view, first, sizesIn(first.field));
      parts.verdict.append(element("p", { class: "first" }, `${t("kernel.first", { place })} `, go));
    }
    const largest = largestOf(found[field], MAX_LISTED);
    if (largest.length) parts.tables.append(largestTable(view, field, largest, sizesIn(field)));
  }

  return { update };
}

function createParts() {
  const labelled = (name) => {
    const select = element("select");
    const label = element("span");
    return { select, label, root: element("label", { class: `choice-${name}` }, label, select) };
  };
  const [is, as, field] = ["is", "as", "field"].map(labelled);
  const map = element("div", { class: "found" }, field.root);
  const verdict = element("div");
  const tables = element("div");
  return {
    note: element("p", { class: "hint note" }),
    choices: element("div", { class: "choices" }, is.root, as.root),
    status: element("p", { role: "status" }),
    result: element("div", { class: "result" }, verdict, map, tables),
    ...{ verdict, map, tables },
    ...{
      is: is.select,
      isLabel: is.label,
      as: as.select,
      asLabel: as.label,
      field: field.select,
      fieldLabel: field.label,
    },
  };
}

function fillSelect(select, values, nameOf, value) {
  const names = values.map(nameOf);
  if ([...select.options].map(({ text }) => text).join("\n") !== names.join("\n"))
    select.replaceChildren(...values.map((each, index) => element("option", { value: each }, names[index])));
  select.value = value;
}

// What the candidate is can be chosen where it is one result, and its shape leaves a choice.
function paintChoices(parts, state, { candidate, dtype }) {
  parts.choices.hidden = !candidate;
  if (!candidate) return;
  const [field, ...others] = Object.keys(candidate);
  const [slice] = candidate[field];
  const shape = [slice.length, ...(Array.isArray(slice[0]) ? [slice[0].length] : [])];
  const possible = fieldsOfShape(shape, sizesOf(state));
  parts.is.parentElement.hidden = others.length > 0 || possible.length < 2 || !possible.includes(field);
  setText(parts.isLabel, t("kernel.is"));
  setText(parts.asLabel, t("kernel.as"));
  fillSelect(parts.is, possible, fieldName, field);
  fillSelect(parts.as, Object.keys(STORED), (name) => name, dtype);
}

// The numbers of the page as .npz, for the person's own code, in the shapes that they came in.
function saveNumbers({ state, options: { lead, kv, dtype }, shown }) {
  const stored = dtype === "float64" ? "float64" : "float32";
  const arrays = ["query", "key", "value"]
    .filter((name) => state[name])
    .map((name) => {
      const isOwn = name === "query" || state.heads;
      const slices = isOwn ? state[name] : distinct(state[name], { lead, kv });
      const own = headsOf(state, name);
      const axes = state.heads ? [slices.length / own, own] : isOwn || kv === null ? lead : [lead[0], kv];
      const isWhole = axes.reduce((all, size) => all * size, 1) === slices.length;
      const front = isWhole ? axes : slices.length > 1 ? [slices.length] : [];
      return {
        name: name[0],
        shape: [...front, slices[0].length, slices[0][0].length],
        dtype: stored,
        values: slices.flat(2),
      };
    });
  const isLengths = state.mask.kind === "lengths" && batchesOf(state) > 1;
  if (isLengths) {
    const rows = axesOf(state, { lead })[0] ?? batchesOf(state);
    const step = state.heads ? 1 : batchesOf(state) / rows;
    const lengths = Array.from({ length: rows }, (_, row) => lengthAt(state, row * step));
    arrays.push({ name: "key_lengths", shape: [rows], dtype: "int", values: lengths });
  }
  const visible = shown.numbers.logits.map((row) => row.map((logit) => logit !== -Infinity));
  if (batchesOf(state) === 1 && visible.flat().includes(false))
    arrays.push({ name: "mask", shape: [visible.length, visible[0].length], dtype: "bool", values: visible.flat() });
  save(writeNpz(arrays), "attention.npz");
}
