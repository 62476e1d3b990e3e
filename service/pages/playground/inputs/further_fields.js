// Formulas of scores and masks, positions, prefixes and keys: folded away until one of them is given.
import { byId, setText } from "../page/dom.js";
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

export function createFurtherFields({ store, report }) {
  const root = byId("further");
  const fields = FURTHER.map(({ place, kind }) =>
    createWritten({
      place,
      kind,
      attributes: { id: `further-${place.replace("/", "-")}`, placeholder: EXAMPLES[place] },
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
  byId("further-fields").append(...fields.map(({ root: field }) => field));
  let loaded = null;

  return {
    update(state) {
      setText(byId("further-title"), t("further.title"));
      for (const field of fields) field.update(state);
      if (loaded !== state.loaded) root.open ||= Object.values(state.further).some((value) => value !== null);
      loaded = state.loaded;
    },
  };
}
