// Tensors of a safetensors file as nested lists of numbers.
import { countOf } from "../state/used_memory.js";

const PREFIX_BYTES = 8;

const littleEndian = (name, bytes) => (view, index) => view[name](index * bytes, true);

const READERS = {
  F64: { bytes: 8, read: littleEndian("getFloat64", 8) },
  F32: { bytes: 4, read: littleEndian("getFloat32", 4) },
  F16: { bytes: 2, read: (view, index) => halfOf(view.getUint16(index * 2, true)) },
  BF16: { bytes: 2, read: (view, index) => brainOf(view.getUint16(index * 2, true)) },
};

const scratch = new DataView(new ArrayBuffer(4));

// The upper half of a float32.
function brainOf(bits) {
  scratch.setUint32(0, bits * 65536);
  return scratch.getFloat32(0);
}

function halfOf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -14 * (fraction / 1024);
}

// Returns {tensors: {name: {shape, values}}, request} with what the metadata hold beside the tensors.
export function readSafetensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, PREFIX_BYTES, length)));
  const { __metadata__: metadata, ...described } = header;
  const tensors = Object.fromEntries(
    Object.entries(described).map(([name, { dtype, shape, data_offsets: [start] }]) => {
      const { read } = READERS[dtype];
      const view = new DataView(buffer, PREFIX_BYTES + length + start);
      return [name, { shape, values: Array.from({ length: countOf(shape) }, (_, index) => read(view, index)) }];
    }),
  );
  return { tensors, request: JSON.parse(metadata?.request ?? "{}") };
}
