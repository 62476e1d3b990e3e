// The arrays of a file that a person has dropped; what it is follows from how it begins, or from its name.
import { readSafetensors } from "../asking/safetensors.js";
import { readNpy, readNpz } from "./npy.js";
import { MAX_BYTES, require } from "./problem.js";
import { readCsv, readJson } from "./text.js";

const begins = (bytes, ...first) => first.every((byte, index) => bytes[index] === byte);

const textOf = (buffer) => new TextDecoder().decode(buffer).replace(/^\ufeff/, "");

// Returns {arrays, request, isLone}; `isLone` for a file that can hold one array only.  Throws FileProblem.
export async function readFile(file) {
  require(file.size <= MAX_BYTES, "file.large");
  const name = file.name.replace(/\.\w+$/, "");
  const ending = /\.(\w+)$/.exec(file.name)?.[1].toLowerCase();
  const buffer = await file.arrayBuffer();
  const bytes = new Uint8Array(buffer);
  require(bytes.length > 0, "file.empty", { name: file.name });
  if (begins(bytes, 0x50, 0x4b)) return { arrays: await readNpz(buffer), request: {} };
  if (begins(bytes, 0x93, 0x4e)) return { arrays: [readNpy(name, bytes)], request: {}, isLone: true };
  if (ending === "safetensors") {
    const { tensors, request } = readSafetensors(buffer);
    return { arrays: Object.entries(tensors).map(([own, tensor]) => ({ name: own, ...tensor })), request };
  }
  if (ending === "json") return readJson(name, textOf(buffer));
  require(ending === "csv" || ending === "txt" || ending === "tsv", "file.kind", { name: file.name });
  return { arrays: [readCsv(name, textOf(buffer))], request: {}, isLone: true };
}
