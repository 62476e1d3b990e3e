// What a score model or normalizer can be given, read from the catalogue: a new one needs no code here.
import { sizesOf } from "../state/store.js";

const SMALLEST_FREE_SIZE = 2;

const LARGEST_FREE_SIZE = 32;

// Each parameter: its kind, its rank (0 is a number), the axes that its description names, and its bounds.
export function parametersOf(entry) {
  const { properties, required = [] } = entry.parameters;
  return Object.entries(properties).map(([name, schema]) => {
    const choices = schema.anyOf ?? [schema];
    const rank = Math.min(...choices.filter((choice) => choice.type !== "null").map(rankOf));
    const number = choices.find((choice) => choice.type === "number") ?? {};
    return {
      name,
      kind: kindOf(choices),
      rank,
      axes: axesOf(schema.description ?? "", rank),
      required: required.includes(name),
      description: schema.description ?? "",
      // The smallest number, and the one that it must exceed, if there is one.
      bounds: { least: number.minimum, above: number.exclusiveMinimum },
      accepts: (value) => value >= (number.minimum ?? -Infinity) && value > (number.exclusiveMinimum ?? -Infinity),
    };
  });
}

// A formula is text, its parameters are an object of names; everything else holds numbers.
function kindOf(choices) {
  const types = choices.map(({ type }) => type);
  if (types.includes("string")) return "text";
  return types.includes("object") ? "object" : "numbers";
}

const rankOf = (schema) => (schema.type === "array" ? 1 + rankOf(schema.items ?? {}) : 0);

function axesOf(description, rank) {
  const named =
    /shape \[([^\]]*)\]/
      .exec(description)?.[1]
      .split(",")
      .map((axis) => axis.trim()) ?? [];
  return Array.from({ length: rank }, (_, axis) => named[axis] ?? `axis ${axis}`);
}

// Features of queries and keys may differ only where the parameters tell them apart.
export const pairsFeatures = (entry) => !parametersOf(entry).some(({ axes }) => axes.includes("Dk"));

// The sizes of the axes: those of Q and K, and free ones such as hidden units, which `parameters` already decide.
export function axisSizes(entry, parameters, state) {
  const { queryFeatures, keyFeatures } = sizesOf(state);
  const sizes = { D: queryFeatures, Dq: queryFeatures, Dk: keyFeatures };
  for (const { name, axes } of parametersOf(entry)) {
    axes.forEach((axis, depth) => {
      const source = parameters[name] ?? entry.example[name];
      const length = depth === 0 ? source?.length : source?.[0]?.length;
      if (!(axis in sizes) && !factorOf(axis)) sizes[axis] = Math.min(length ?? SMALLEST_FREE_SIZE, LARGEST_FREE_SIZE);
    });
  }
  return sizes;
}

export const freeAxes = (entry) =>
  [...new Set(parametersOf(entry).flatMap(({ axes }) => axes))].filter(
    (axis) => !["D", "Dq", "Dk"].includes(axis) && !factorOf(axis),
  );

// "3·D" is three vectors of D numbers one after the other.
export const factorOf = (axis) => Number(/^(\d+)·D$/.exec(axis)?.[1]) || 0;

export const lengthOfAxis = (axis, sizes) => (factorOf(axis) ? factorOf(axis) * sizes.D : sizes[axis]);
