// What engineers look for: soft cap, bias, positions, heads, a cache, types of numbers, formulas.  Folded away until one of
// them is given.
import { element, setAttributes, setText } from "../page/dom.js";
import { FURTHER } from "../state/further.js";
import { t } from "../words/i18n.js";
import { createHeadsField } from "./heads_field.js";
import { createWritten } from "./written.js";

const EXAMPLES = {
  softcap: "30",
  bias: "0, -1, -2; 0, 0, -1",
  "position/slopes": "0.5",
  "position/base": "10000",
  "position/dims": "2",
  "position/scaling": '{"kind": "linear", "factor": 4}',
  past_key: "2",
  "score_modifier/formula": "score - slope * abs(p - j)",
  "score_modifier/parameters": '{"slope": 0.5}',
  "mask/formula": "j <= p and p - j < reach",
  "mask/parameters": '{"reach": 3}',
  "mask/prefix_lengths": "2",
  "mask/key_allowed": "1, 1, 0, 1",
  "positions/query": "5, 6",
  "positions/key": "3, 4, 5, 6",
};

// The parts of the page are those of `within`, where every id begins with `prefix`.  Without `entryOf` there is no field of
// heads.
export function createFurtherFields({ store, report, entryOf = null, within = document, prefix = "" }) {
  const find = (part) => within.querySelector(`#${prefix}further${part}`);
  const [root, title, list] = ["", "-title", "-fields"].map(find);
  const written = FURTHER.map((field) => createField(field, { store, report, prefix }));
  const fields = entryOf ? [createHeadsField({ store, report, entryOf }), ...written] : written;
  list.append(...fields.map(({ root: field }) => field));
  let loaded = null;

  return {
    update(state) {
      setText(title, t("further.title"));
      for (const field of fields) field.update(state);
      if (loaded !== state.loaded)
        root.open ||= Boolean(state.heads) || Object.values(state.further).some((value) => value !== null);
      loaded = state.loaded;
    },
  };
}

// A field of another encoding of positions than the chosen one is not there.
function createField({ place, kind, choices, only }, { store, report, prefix }) {
  const set = (value) =>
    store.change((draft) => {
      draft.further[place] = value;
    });
  const id = `${prefix}further-${place.replace("/", "-")}`;
  const common = { place, labelOf: () => t(`further.${place}`), get: ({ further }) => further[place], set };
  const field = choices
    ? createSelect({ ...common, id, choices })
    : createWritten({
        ...common,
        kind,
        attributes: { id, placeholder: EXAMPLES[place] },
        helpOf: common.labelOf,
        report,
      });
  return {
    root: field.root,
    update(state) {
      field.root.hidden = only !== undefined && state.further["position/name"] !== only;
      if (field.root.hidden) field.forget?.();
      field.update(state);
    },
  };
}

// One of a few values; the first option leaves the field out.
function createSelect({ place, id, choices, labelOf, get, set }) {
  const label = element("span");
  const options = [null, ...choices].map((choice) => element("option", { value: JSON.stringify(choice) }));
  const select = element("select", { id }, ...options);
  const error = element("p", { class: "field-error", "data-place": place, hidden: true });
  select.addEventListener("change", () => set(JSON.parse(select.value)));
  return {
    root: element("div", { class: "parameter written" }, element("label", {}, label, select), error),
    update(state) {
      setText(label, labelOf());
      setAttributes(label.parentElement, { title: labelOf() });
      [null, ...choices].forEach((choice, index) => setText(options[index], t(`further.${place}_${choice}`)));
      select.value = JSON.stringify(get(state));
    },
  };
}
