// Arrays as NumPy saves them: .npy, and .npz with several of them.
import { FileProblem, require, shapeText } from "./problem.js";
import { halfOf } from "./halves.js";
import { readZip, writeZip } from "./zip.js";

const MAGIC = "\x93NUMPY";

const KINDS = {
  f2: { dtype: "float16", bytes: 2, read: (view, at, little) => halfOf(view.getUint16(at, little)) },
  f4: { dtype: "float32", bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  f8: { dtype: "float64", bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
  i4: { dtype: "int", bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  i8: { dtype: "int", bytes: 8, read: (view, at, little) => Number(view.getBigInt64(at, little)) },
  b1: { dtype: "bool", bytes: 1, read: (view, at) => view.getUint8(at) },
};

const ALIGNMENT = 64;

// Returns {name, shape, dtype, values} of the bytes of a .npy; throws FileProblem.
export function readNpy(name, bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  require(bytes.length >= 12 && latin(bytes.subarray(0, 6)) === MAGIC, "file.npy", { name });
  const version = bytes[6];
  require(version >= 1 && version <= 3, "file.npy_version", { name, version });
  const [length, start] = version === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  require(start + length <= bytes.length, "file.npy", { name });
  const { kind, isLittle, isFortran, shape } = headerOf(name, latin(bytes.subarray(start, start + length)));
  const count = shape.reduce((product, size) => product * size, 1);
  const [expected, received] = [count * kind.bytes, bytes.length - start - length];
  require(expected === received, "file.length", { name, shape: shapeText(shape), expected, received });
  const values = Array.from({ length: count }, (_, at) => kind.read(view, start + length + at * kind.bytes, isLittle));
  return { name, shape, dtype: kind.dtype, values: isFortran ? rowMajor(values, shape) : values };
}

const latin = (bytes) => String.fromCharCode(...bytes);

// The header is a dictionary as Python writes it.
function headerOf(name, text) {
  const shape = /'shape'\s*:\s*\(([\d,\s]*)\)/.exec(text);
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text);
  require(shape && order, "file.npy", { name });
  const written = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1] ?? "structured";
  const kind = /^[<>=|]..$/.test(written) && Object.hasOwn(KINDS, written.slice(1)) ? KINDS[written.slice(1)] : null;
  if (!kind) throw new FileProblem("file.dtype", { name, received: written });
  return {
    kind,
    isLittle: written[0] !== ">",
    isFortran: order[1] === "True",
    shape: shape[1]
      .split(",")
      .filter((size) => size.trim() !== "")
      .map(Number),
  };
}

function rowMajor(values, shape) {
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, size) => product * size, 1));
  return values.map((_, at) => {
    let [rest, place] = [at, 0];
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      place += (rest % shape[axis]) * strides[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    return values[place];
  });
}

export async function readNpz(buffer) {
  const members = await readZip(buffer);
  return members.map(([name, bytes]) => readNpy(name.replace(/\.npy$/, ""), bytes));
}

const WRITERS = {
  float64: { descr: "<f8", array: (values) => Float64Array.from(values) },
  float32: { descr: "<f4", array: (values) => Float32Array.from(values) },
  int: { descr: "<i4", array: (values) => Int32Array.from(values) },
  bool: { descr: "|b1", array: (values) => Uint8Array.from(values, Number) },
};

// The bytes of typed arrays are in the order of the machine, which is little-endian wherever a browser runs.
function writeNpy({ shape, dtype, values }) {
  const { descr, array } = WRITERS[dtype];
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const padding = ALIGNMENT - ((10 + dictionary.length + 1) % ALIGNMENT);
  const header = `${dictionary}${" ".repeat(padding % ALIGNMENT)}\n`;
  const data = array(values);
  const bytes = new Uint8Array(10 + header.length + data.byteLength);
  bytes.set(Array.from(`${MAGIC}\x01\x00`, (letter) => letter.charCodeAt(0)));
  new DataView(bytes.buffer).setUint16(8, header.length, true);
  bytes.set(new TextEncoder().encode(header), 10);
  bytes.set(new Uint8Array(data.buffer), 10 + header.length);
  return bytes;
}

// Returns a Blob of arrays, {name, shape, dtype, values} each.
export const writeNpz = (arrays) =>
  new Blob(writeZip(arrays.map((array) => [`${array.name}.npy`, writeNpy(array)])), { type: "application/zip" });
