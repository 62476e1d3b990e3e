// Tensors for a score model when the reader has given none, and tensors that keep up with Q and K.
import { axisSizes, factorOf, lengthOfAxis, parametersOf } from "../inputs/parameters.js";

const MEANINGFUL = {
  bilinear: { weight: (row, column, sizes) => (row === column ? rounded(1 / Math.sqrt(sizes.Dq)) : 0) },
  additive: {
    query_weight: (unit, feature) => (unit === feature ? 0.5 : 0),
    key_weight: (unit, feature) => (unit === feature ? 0.5 : 0),
    score_vector: () => 1,
  },
  trilinear: { weight: (segment, _, sizes) => (segment === 2 ? rounded(1 / Math.sqrt(sizes.D)) : 0) },
};

const rounded = (value) => Number(value.toFixed(4));

// Numbers are left to the service; required tensors are the example's where they fit, else something that makes sense.
// A formula and its parameters are the example's.
export function defaultParameters(entry, state) {
  const sizes = axisSizes(entry, {}, state);
  return Object.fromEntries(
    parametersOf(entry).map(({ name, kind, rank, axes, required }) => {
      if (kind !== "numbers") return [name, structuredClone(entry.example[name] ?? null)];
      if (rank === 0 || !required) return [name, null];
      return [
        name,
        everyFits(entry, sizes) ? structuredClone(entry.example[name]) : filled(entry.name, name, axes, sizes),
      ];
    }),
  );
}

function everyFits(entry, sizes) {
  return parametersOf(entry)
    .filter(({ rank, required }) => rank && required)
    .every(({ name, axes }) =>
      axes.every((axis, depth) => {
        const tensor = entry.example[name];
        return (depth === 0 ? tensor.length : tensor[0].length) === lengthOfAxis(axis, sizes);
      }),
    );
}

const filled = (model, name, axes, sizes) => fit(null, axes, sizes, MEANINGFUL[model]?.[name] ?? (() => 0));

// After a change of size: old elements keep their places, new ones take the default.
export function fitParameters(entry, parameters, state, changed = {}) {
  const sizes = { ...axisSizes(entry, parameters, state), ...changed };
  return Object.fromEntries(
    parametersOf(entry).map(({ name, axes }) => {
      const tensor = parameters[name];
      if (!Array.isArray(tensor)) return [name, tensor];
      return [name, fit(toRows(tensor, axes), axes, sizes, MEANINGFUL[entry.name]?.[name] ?? (() => 0))];
    }),
  );
}

// A feature that Q or K has lost is lost at the same place in every tensor along its axis.
export function withoutFeature(entry, parameters, index, touched) {
  const lost = [...(touched.includes("query") ? ["D", "Dq"] : []), ...(touched.includes("key") ? ["Dk"] : [])];
  return Object.fromEntries(
    parametersOf(entry).map(({ name, axes }) => {
      if (!Array.isArray(parameters[name])) return [name, parameters[name]];
      const [height, width] = axes.length > 1 ? axes : [null, factorOf(axes[0]) ? "D" : axes[0]];
      const kept = toRows(parameters[name], axes).filter((_, row) => !lost.includes(height) || row !== index);
      return [
        name,
        fromRows(
          kept.map((row) => row.filter((_, column) => !lost.includes(width) || column !== index)),
          axes,
        ),
      ];
    }),
  );
}

function fit(rows, axes, sizes, fallback) {
  const factor = factorOf(axes[0]);
  const height = factor || (axes.length === 1 ? 1 : lengthOfAxis(axes[0], sizes));
  const width = factor ? sizes.D : lengthOfAxis(axes.at(-1), sizes);
  const made = Array.from({ length: height }, (_, row) =>
    Array.from({ length: width }, (_, column) => rows?.[row]?.[column] ?? fallback(row, column, sizes)),
  );
  return fromRows(made, axes);
}

// A vector is shown as one row, or as one row for each of its segments.
export function toRows(tensor, axes) {
  if (axes.length > 1) return tensor;
  const segments = factorOf(axes[0]) || 1;
  const width = tensor.length / segments;
  return Array.from({ length: segments }, (_, segment) => tensor.slice(segment * width, (segment + 1) * width));
}

export const fromRows = (rows, axes) => (axes.length > 1 ? rows : rows.flat());
