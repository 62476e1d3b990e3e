// A matrix with too many numbers for single fields, as tab-separated text.
import { element, setAttributes } from "../page/dom.js";
import { parseBlock, problemOf } from "./paste.js";

// `on` holds paste(block, 0, 0), request(a whole request) and wrong(isWrong).
export function createGridText(root, on) {
  const field = element("textarea", { class: "matrix-text", rows: "8", wrap: "off", spellcheck: "false" });
  root.append(field);
  let identity = null;
  field.addEventListener("change", () => {
    const block = parseBlock(`${field.value}\n`);
    const isRight = Boolean(block) && !problemOf(block);
    setAttributes(field, { "aria-invalid": isRight ? null : "true" });
    on.wrong(!isRight);
    if (isRight && block.request) on.request(block.request);
    else if (isRight) on.paste(block, 0, 0);
  });

  const isWrong = () => field.hasAttribute("aria-invalid");

  // Other numbers than those that the mistake was made in take its place.
  function forget() {
    identity = null;
    if (!isWrong()) return;
    setAttributes(field, { "aria-invalid": null });
    on.wrong(false);
  }

  return {
    update({ label, values, identity: next, shown, readOnly }) {
      root.hidden = !shown;
      const nextIdentity = `${next} ${values.length} ${values[0].length}`;
      if (nextIdentity !== identity || !shown) forget();
      identity = nextIdentity;
      setAttributes(field, { readonly: readOnly });
      field.setAttribute("aria-label", label);
      if (shown && !isWrong() && document.activeElement !== field) field.value = values.map((row) => row.join("\t")).join("\n");
    },
    clear: forget,
  };
}
