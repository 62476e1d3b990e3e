// What a memory is, in one line, from its description.
import { t } from "./i18n.js";

const written = (shape) => shape.join(" × ");

export function aboutOf({ keys, dtype, shape }) {
  const values = { keys, dtype, key: written(shape.key), value: shape.value && written(shape.value) };
  return t(shape.value ? "memory.about" : "memory.about_keys", values);
}
