// The numbers of heads: another number packs and splits the features of Q, K and V anew.
import { element, setAttributes, setText } from "../page/dom.js";
import { MAX_SLICES, setHeads } from "../state/slices.js";
import { fitParameters } from "../state/defaults.js";
import { t } from "../words/i18n.js";
import { parseNumber } from "../words/numbers.js";

const PLACES = { query: "heads/query", key: "heads/key_value" };

export function createHeadsField({ store, report, entryOf }) {
  const parts = Object.fromEntries(Object.keys(PLACES).map((axis) => [axis, createCount(axis)]));
  let loaded = null;

  function createCount(axis) {
    const place = PLACES[axis];
    const input = element("input", { type: "text", inputmode: "numeric", autocomplete: "off", id: `heads-${axis}` });
    const label = element("span");
    const error = element("p", { class: "field-error", "data-place": place, hidden: true });
    input.addEventListener("input", () => change(axis));
    return { input, label, place, root: element("div", { class: "parameter" }, element("label", {}, label, input), error) };
  }

  // Another number of query heads takes the one of keys along where they were the same, or where it does not fit.
  function wanted(axis, count, { heads }) {
    const now = heads ?? { query: 1, key: 1 };
    if (axis === "key") return [now.query, count];
    return [count, now.key === now.query || count % now.key ? count : now.key];
  }

  function change(axis) {
    const { input, place } = parts[axis];
    const count = parseNumber(input.value);
    const isCount = Number.isInteger(count) && count >= 1 && count <= MAX_SLICES;
    const [query, key] = isCount ? wanted(axis, count, store.get()) : [];
    const isRight = isCount && setHeads({ ...store.get() }, query, key);
    setAttributes(input, { "aria-invalid": isRight ? null : "true" });
    report(place, isRight ? null : { key: "problem.heads", values: { text: input.value } });
    const now = store.get().heads ?? { query: 1, key: 1 };
    if (!isRight || (query === now.query && key === now.key)) return;
    store.change((draft) => {
      setHeads(draft, query, key);
      draft.names.feature = [];
      draft.names.value = [];
      draft.scoreModel.parameters = fitParameters(entryOf(draft), draft.scoreModel.parameters, draft);
    });
  }

  return {
    root: element("div", { class: "heads" }, parts.query.root, parts.key.root),
    update(state) {
      for (const [axis, { input, label, place, root }] of Object.entries(parts)) {
        root.hidden = state.memory !== null;
        setText(label, t(`further.${place}`));
        setAttributes(label.parentElement, { title: t("further.heads_help") });
        if ((root.hidden || loaded !== state.loaded) && input.hasAttribute("aria-invalid")) {
          setAttributes(input, { "aria-invalid": null });
          report(place, null);
        }
        const held = String(state.heads?.[axis] ?? 1);
        if (!input.hasAttribute("aria-invalid") && input !== document.activeElement) input.value = held;
        else if (!input.hasAttribute("aria-invalid") && String(parseNumber(input.value)) !== held) input.value = held;
      }
      loaded = state.loaded;
    },
  };
}
