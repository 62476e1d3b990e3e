// Where the numbers of a large matrix come from: a generator with a seed, or files with q and k.
import { assign, checkInput, roleOf } from "../../files/kernel.js";
import { require } from "../../files/problem.js";
import { readFile } from "../../files/read.js";
import { normals } from "../../reference/random.js";

export const MAX_SIZE = 4096;

const INPUTS = ["query", "key"];

// Random normals; `sharp` multiplies the queries, so that the scores have about that standard deviation.
export function generated({ seed, queries, keys, features, sharp }) {
  const random = normals(seed);
  const fill = (count, factor) => Float32Array.from({ length: count }, () => factor * random());
  return { queries, keys, features, query: fill(queries * features, sharp), key: fill(keys * features, 1) };
}

// Q and K of files, the first slice of tensors with leading axes.  Throws FileProblem.
export async function readTensors(files) {
  const read = await Promise.all(files.map(readFile));
  const { byRole } = assign(read.flatMap(({ arrays }) => arrays).filter(({ name }) => INPUTS.includes(roleOf(name))));
  const { query, key } = byRole;
  for (const role of INPUTS) require(byRole[role], "file.missing", { name: role });
  for (const role of INPUTS) checkInput(byRole[role], query);
  const [[queries, features], [keys, keyFeatures]] = INPUTS.map((role) => byRole[role].shape.slice(-2));
  const isRight = features === keyFeatures && Math.max(queries, keys) <= MAX_SIZE;
  require(isRight, "overview.file_wrong", { name: files.map(({ name }) => name).join(", "), most: MAX_SIZE });
  return { queries, keys, features, query: floatsOf(query), key: floatsOf(key) };
}

// Numbers beyond those of float32 become infinite.
function floatsOf({ name, values, shape }) {
  const floats = Float32Array.from(values.slice(0, shape.at(-2) * shape.at(-1)));
  const at = floats.findIndex((value) => !Number.isFinite(value));
  require(at < 0, "file.finite", { name, at, received: String(values[at]) });
  return floats;
}
