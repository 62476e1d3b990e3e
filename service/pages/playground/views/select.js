// A choice between a few values; its texts are those of a view, "VIEW.NAME" and "VIEW.NAME_value".
import { element, setText } from "../page/dom.js";
import { t } from "../words/i18n.js";

export function createSelect(view, name, all, set) {
  const label = element("span");
  const options = all.map((value) => element("option", { value }));
  const select = element("select", { "data-option": name }, ...options);
  select.addEventListener("change", () => set(select.value));
  return {
    root: element("label", { class: `${view}-choice` }, label, select),
    // Values that are not `usable` cannot be chosen now.
    update(value, usable = all) {
      setText(label, t(`${view}.${name}`));
      for (const option of options) {
        setText(option, t(`${view}.${name}_${option.value}`));
        option.disabled = !usable.includes(option.value);
      }
      select.value = value;
    },
  };
}
