// Score model and normalizer: what there is comes from the catalogue of the service.
import { byId, element, setText } from "../page/dom.js";
import { defaultParameters, fitParameters } from "../state/defaults.js";
import { inLanguage } from "../words/i18n.js";
import { createParameterFields } from "./parameter_fields.js";

// `choice` is "scoreModel" or "normalizer", `field` its name on the wire, `id` that of its part of the page.
export function createChoice({ choice, field, id, entries, store, report }) {
  const select = byId(id);
  const help = byId(`${id}-help`);
  const entryOf = (state) => entries.find(({ name }) => name === state[choice].name);
  const remembered = new Map();
  const fields = createParameterFields(byId(`${id}-parameters`), { choice, field, store, entryOf, report });

  select.append(...entries.map(({ name }) => element("option", { value: name })));
  select.addEventListener("change", () =>
    store.change((draft) => {
      remembered.set(`${draft.loaded} ${draft[choice].name}`, draft[choice].parameters);
      const entry = entries.find(({ name }) => name === select.value);
      const parameters = remembered.get(`${draft.loaded} ${entry.name}`) ?? defaultParameters(entry, draft);
      draft[choice] = { name: entry.name, parameters: fitParameters(entry, parameters, draft) };
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
