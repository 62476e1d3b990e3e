// Score model and normalizer: what there is comes from the catalogue of the service.
import { element, setText } from "../page/dom.js";
import { defaultParameters, fitParameters } from "../state/defaults.js";
import { inLanguage } from "../words/i18n.js";
import { createParameterFields } from "./parameter_fields.js";

// `choice` is "scoreModel" or "normalizer", `field` its name on the wire, `id` that of its part of `within`, where every
// id begins with `prefix`.
export function createChoice({ choice, field, id, entries, store, report, within = document, prefix = "" }) {
  const find = (part) => within.querySelector(`#${prefix}${id}${part}`);
  const [select, help, parameters] = ["", "-help", "-parameters"].map(find);
  const entryOf = (state) => entries.find(({ name }) => name === state[choice].name);
  const remembered = new Map();
  const fields = createParameterFields(parameters, { choice, field, store, entryOf, report, prefix });

  select.append(...entries.map(({ name }) => element("option", { value: name })));
  select.addEventListener("change", () =>
    store.change((draft) => {
      remembered.set(`${draft.loaded} ${draft[choice].name}`, draft[choice].parameters);
      const entry = entries.find(({ name }) => name === select.value);
      const known = remembered.get(`${draft.loaded} ${entry.name}`) ?? defaultParameters(entry, draft);
      draft[choice] = { name: entry.name, parameters: fitParameters(entry, known, draft) };
    }),
  );

  return {
    entryOf,
    update(state, context) {
      for (const option of select.options)
        setText(option, inLanguage(entries.find(({ name }) => name === option.value).title));
      select.value = state[choice].name;
      setText(help, inLanguage(entryOf(state).description));
      help.title = help.textContent;
      fields.update(state, context);
    },
  };
}
