// Where the numbers of a large matrix come from: a generator with a seed, or a file with q and k.
import { readSafetensors } from "../../asking/safetensors.js";
import { countOf } from "../../state/used_memory.js";
import { normals } from "../../reference/random.js";

const NAMES = { query: ["query", "q", "Q"], key: ["key", "k", "K"] };

// Random normals; `sharp` multiplies the queries, so that the scores have about that standard deviation.
export function generated({ seed, queries, keys, features, sharp }) {
  const random = normals(seed);
  const fill = (count, factor) => Float32Array.from({ length: count }, () => factor * random());
  return { queries, keys, features, query: fill(queries * features, sharp), key: fill(keys * features, 1) };
}

// Reads .safetensors, or .json with query and key; the first slice of tensors with leading axes.  Returns null for a file
// that has no such tensors, or tensors that do not go together.
export async function readFile(file) {
  try {
    const tensors = file.name.endsWith(".json")
      ? fromJson(JSON.parse(await file.text()))
      : readSafetensors(await file.arrayBuffer()).tensors;
    const [query, key] = Object.values(NAMES).map((names) => matrixOf(tensors[names.find((name) => tensors[name])]));
    if (query.columns !== key.columns) return null;
    return { queries: query.rows, keys: key.rows, features: query.columns, query: query.values, key: key.values };
  } catch {
    return null;
  }
}

function fromJson(document) {
  const shapeOf = (nested) => (Array.isArray(nested) ? [nested.length, ...shapeOf(nested[0])] : []);
  return Object.fromEntries(
    Object.entries(document)
      .filter(([, nested]) => Array.isArray(nested))
      .map(([name, nested]) => [name, { shape: shapeOf(nested), values: nested.flat(Infinity) }]),
  );
}

function matrixOf({ shape, values }) {
  const [rows, columns] = shape.slice(-2);
  const numbers = Float32Array.from(values.slice(0, rows * columns));
  if (shape.length < 2 || values.length !== countOf(shape) || !numbers.every(Number.isFinite)) throw new TypeError("tensor");
  return { rows, columns, values: numbers };
}
