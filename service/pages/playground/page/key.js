// The field for an API key; it appears when the service asks for one.
import { useKey } from "../asking/api.js";
import { byId } from "./dom.js";

// `changed` is called when another key is to be tried.
export function createKeyField(changed) {
  const field = byId("api-key");
  field.addEventListener("change", () => {
    useKey(field.value);
    changed();
  });
  return {
    show() {
      byId("key-field").hidden = false;
    },
  };
}
