// Which mask, and the few numbers that it needs.
import { element, setAttributes, setText } from "../page/dom.js";
import { freeMask } from "../state/edits.js";
import { t } from "../words/i18n.js";
import { formatFull, parseNumber } from "../words/numbers.js";
import { lengthOf, pastOf, rowOf, usesOffset } from "../asking/request.js";
import { leadingOf } from "../state/slices.js";
import { isLarge, sizesOf } from "../state/store.js";

const KINDS = ["none", "causal", "lengths", "window", "custom"];

const FIELDS = { none: [], causal: [], lengths: ["length"], window: ["left", "right"], custom: [] };

// The parts of the page are those of `within`, where every id begins with `prefix`.
export function createMaskFields({ store, report, within = document, prefix = "" }) {
  const find = (part) => within.querySelector(`#${prefix}mask-${part}`);
  const [select, help, numbers] = ["kind", "help", "parameters"].map(find);
  select.append(...KINDS.map((kind) => element("option", { value: kind })));
  select.addEventListener("change", () =>
    store.change((draft) => {
      // Cells that were chosen before are still there; the first choice takes over what the mask of now hides.
      if (select.value === "custom" && !draft.mask.allowed) freeMask(draft);
      draft.mask.kind = select.value;
    }),
  );
  const fields = Object.fromEntries(
    ["length", "left", "right", "offset"].map((name) => [name, wholeNumber(name, { store, report, prefix })]),
  );
  numbers.append(...Object.values(fields).map(({ root }) => root));

  return {
    update(state) {
      for (const option of select.options) {
        setText(option, t(`mask.${option.value}`));
        option.disabled = option.value === "custom" && isLarge(state);
      }
      select.value = state.mask.kind;
      setText(help, t(`mask.help_${state.mask.kind}`));
      const shown = [...FIELDS[state.mask.kind], ...(usesOffset(state) ? ["offset"] : [])];
      for (const [name, field] of Object.entries(fields)) field.update(state, shown.includes(name));
    },
  };
}

const READ = {
  length: (state) => lengthOf(state.mask.lengths, state),
  left: ({ mask }) => mask.left,
  right: ({ mask }) => mask.right,
  offset: ({ mask }) => mask.offset,
};

// A blank side of the window is open, a blank offset 0; a length is never blank.
function isAllowed(name, value, state) {
  if (value === null) return name !== "length";
  if (!Number.isInteger(value)) return false;
  if (name === "length") return value >= 0 && value <= sizesOf(state).keys;
  return name === "offset" || value >= 0;
}

function write(draft, name, value) {
  if (name !== "length") {
    draft.mask[name] = value;
    return;
  }
  const { keys } = sizesOf(draft);
  const rows = Math.max(leadingOf(draft).rows, rowOf(draft) + 1);
  draft.mask.lengths = Array.from({ length: rows }, (_, row) => Math.min(draft.mask.lengths[row] ?? keys, keys));
  draft.mask.lengths[rowOf(draft)] = value;
}

function wholeNumber(name, { store, report, prefix }) {
  const id = `${prefix}mask-${name}`;
  const input = element("input", { type: "text", inputmode: "numeric", autocomplete: "off", id });
  const label = element("span");
  const place = `mask/${name}`;
  const error = element("p", { class: "field-error", "data-place": place, hidden: true });
  input.addEventListener("input", () => {
    const blank = input.value.trim() === "";
    const value = blank ? null : parseNumber(input.value);
    const right = (blank || value !== null) && isAllowed(name, value, store.get());
    setAttributes(input, { "aria-invalid": right ? null : "true" });
    report(
      place,
      right ? null : { key: `problem.mask_${name}`, values: { text: input.value, keys: sizesOf(store.get()).keys } },
    );
    if (right) store.change((draft) => write(draft, name, value));
  });
  const root = element("div", { class: "parameter" }, element("label", {}, label, input), error);
  let loaded = null;

  function update(state, shown) {
    root.hidden = !shown;
    const isNew = loaded !== state.loaded;
    loaded = state.loaded;
    if ((!shown || isNew) && input.hasAttribute("aria-invalid")) {
      setAttributes(input, { "aria-invalid": null });
      report(place, null);
    }
    const value = READ[name](state);
    setText(label, t(`mask.${name}`));
    input.placeholder = name === "offset" ? String(pastOf(state)) : t("mask.open");
    const held = input.value.trim() === "" ? null : parseNumber(input.value);
    if (!input.hasAttribute("aria-invalid") && held !== value) input.value = value === null ? "" : formatFull(value);
  }

  return { root, update };
}
