// Calls of /v1/memories, and the contents of a memory as the page has keys and values.
import { Problem, download, get, put, remove } from "./api.js";
import { readSafetensors } from "./safetensors.js";
import { countOf, indexAt, indexWithin, isSmall, leadingOf } from "../state/used_memory.js";

const PATH = "v1/memories";

const pathOf = (name) => `${PATH}/${encodeURIComponent(name)}`;

const only = (version) => ({ "If-Match": `"${version}"` });

export const listMemories = (after) => get(after === null ? PATH : `${PATH}?after=${encodeURIComponent(after)}`);

export const describeMemory = (name) => get(pathOf(name));

export const createMemory = (name, body) => put(pathOf(name), body, { "If-None-Match": "*" });

export const replaceMemory = (name, body, version) => put(pathOf(name), body, only(version));

export const deleteMemory = (name, version) => remove(pathOf(name), only(version));

export const isRefused = (error) => error instanceof Problem && error.slug === "precondition-failed";

// Returns {about, contents}: the description, and keys, values and labels of that version; null for a large memory.
export async function loadMemory(name) {
  const about = await describeMemory(name);
  if (!isSmall(about)) return { about, contents: null };
  try {
    return { about, contents: contentsOf(about, await download(`${pathOf(name)}/tensors`, only(about.version))) };
  } catch (error) {
    // It has changed since it was described.
    if (isRefused(error)) return loadMemory(name);
    throw error;
  }
}

function contentsOf(about, file) {
  const { tensors, request } = readSafetensors(file);
  const leading = leadingOf(about);
  return {
    key: slicesOf(tensors.key, about.layout, leading),
    value: tensors.value ? slicesOf(tensors.value, about.layout, leading) : null,
    labels: request.labels?.key ?? null,
  };
}

// A tensor with a single slice is shared by all; any other has one for each slice that keys and values broadcast to.
function slicesOf({ shape, values }, layout, leading) {
  const axes = shape.length === 4 && layout === "bshd" ? [0, 2, 1, 3] : [...shape.keys()];
  const strides = axes.map((axis) => countOf(shape.slice(axis + 1)));
  const [rows, columns] = axes.slice(-2).map((axis) => shape[axis]);
  const own = axes.slice(0, -2).map((axis) => shape[axis]);
  const startOf = (slice) => {
    const index = indexWithin(own, indexAt(leading, slice));
    return index.reduce((sum, at, axis) => sum + at * strides[axis], 0);
  };
  return Array.from({ length: countOf(own) === 1 ? 1 : countOf(leading) }, (_, slice) =>
    Array.from({ length: rows }, (_, row) =>
      Array.from({ length: columns }, (_, column) => values[startOf(slice) + row * strides.at(-2) + column]),
    ),
  );
}
