// Values as text of a language: a matrix has each row on a line of its own.
const isNested = (value) => typeof value === "object" && value !== null;

const JSON_WORDS = { null: "null", true: "true", false: "false" };

const PYTHON_WORDS = { null: "None", true: "True", false: "False" };

function written(value, words, step, indent) {
  if (typeof value === "string") return JSON.stringify(value);
  if (!isNested(value)) return words[value] ?? String(value);
  const isList = Array.isArray(value);
  const entries = Object.entries(value);
  const isFlat = !entries.some(([, one]) => isNested(one));
  const inside = isFlat ? indent : indent + step;
  const parts = entries.map(([name, one]) => {
    const text = written(one, words, step, inside);
    return isList ? text : `${JSON.stringify(name)}: ${text}`;
  });
  const [open, close] = isList ? "[]" : "{}";
  return isFlat
    ? `${open}${parts.join(", ")}${close}`
    : `${open}\n${parts.map((part) => inside + part).join(",\n")}\n${indent}${close}`;
}

export const jsonOf = (value) => written(value, JSON_WORDS, "  ", "");

// `indent` is that of the line on which the value begins.
export const pythonOf = (value, indent = "") => written(value, PYTHON_WORDS, "    ", indent);

// A number that Python takes for a float: of an integer, some libraries make another type.
export const floatOf = (number) =>
  Number.isInteger(number) && !String(number).includes("e") ? `${number}.0` : String(number);
