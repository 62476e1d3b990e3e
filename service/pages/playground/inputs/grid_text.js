// A matrix with too many numbers for single fields, as tab-separated text.
import { element, setAttributes } from "../page/dom.js";
import { parseBlock, problemOf } from "./paste.js";

// `on` holds paste(block, 0, 0), request(a whole request) and wrong(isWrong).
export function createGridText(root, on) {
  const field = element("textarea", { class: "matrix-text", rows: "8", wrap: "off", spellcheck: "false" });
  root.append(field);
  field.addEventListener("change", () => {
    const block = parseBlock(`${field.value}\n`);
    const isRight = Boolean(block) && !problemOf(block);
    setAttributes(field, { "aria-invalid": isRight ? null : "true" });
    on.wrong(!isRight);
    if (isRight && block.request) on.request(block.request);
    else if (isRight) on.paste(block, 0, 0);
  });

  return {
    update({ label, values, shown, readOnly }) {
      root.hidden = !shown;
      setAttributes(field, { readonly: readOnly });
      field.setAttribute("aria-label", label);
      if (shown && document.activeElement !== field) field.value = values.map((row) => row.join("\t")).join("\n");
    },
  };
}
