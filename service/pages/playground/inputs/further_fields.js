// Formulas of scores and masks, positions, prefixes and keys: folded away until one of them is given.
import { setText } from "../page/dom.js";
import { FURTHER } from "../state/further.js";
import { t } from "../words/i18n.js";
import { createWritten } from "./written.js";

const EXAMPLES = {
  "score_modifier/formula": "score - slope * abs(p - j)",
  "score_modifier/parameters": '{"slope": 0.5}',
  "mask/formula": "j <= p and p - j < reach",
  "mask/parameters": '{"reach": 3}',
  "mask/prefix_lengths": "2",
  "mask/key_allowed": "1, 1, 0, 1",
  "positions/query": "5, 6",
  "positions/key": "3, 4, 5, 6",
};

// The parts of the page are those of `within`, where every id begins with `prefix`.
export function createFurtherFields({ store, report, within = document, prefix = "" }) {
  const find = (part) => within.querySelector(`#${prefix}further${part}`);
  const [root, title, list] = ["", "-title", "-fields"].map(find);
  const fields = FURTHER.map(({ place, kind }) =>
    createWritten({
      place,
      kind,
      attributes: { id: `${prefix}further-${place.replace("/", "-")}`, placeholder: EXAMPLES[place] },
      labelOf: () => t(`further.${place}`),
      helpOf: () => t(`further.${place}`),
      get: ({ further }) => further[place],
      set: (value) =>
        store.change((draft) => {
          draft.further[place] = value;
        }),
      report,
    }),
  );
  list.append(...fields.map(({ root: field }) => field));
  let loaded = null;

  return {
    update(state) {
      setText(title, t("further.title"));
      for (const field of fields) field.update(state);
      if (loaded !== state.loaded) root.open ||= Object.values(state.further).some((value) => value !== null);
      loaded = state.loaded;
    },
  };
}
