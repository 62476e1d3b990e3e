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

const ALIGNMENT = 8;

// Writes tensors {name: {shape, values}} of float32 with a request beside them.
export function writeSafetensors(tensors, request) {
  const header = { __metadata__: { request: JSON.stringify(request) } };
  let end = 0;
  for (const [name, { shape, values }] of Object.entries(tensors)) {
    header[name] = { dtype: "F32", shape, data_offsets: [end, end + values.byteLength] };
    end += values.byteLength;
  }
  const text = JSON.stringify(header);
  const written = new TextEncoder().encode(text.padEnd(text.length + ((ALIGNMENT - (text.length % ALIGNMENT)) % ALIGNMENT)));
  const length = new ArrayBuffer(PREFIX_BYTES);
  new DataView(length).setBigUint64(0, BigInt(written.length), true);
  return new Blob([length, written, ...Object.values(tensors).map(({ values }) => values)]);
}

// The float32 tensors of a file as typed arrays, without a copy where they are aligned.
export function floatsOf(buffer) {
  const { header, start } = headerOf(buffer);
  return Object.fromEntries(
    Object.entries(header)
      .filter(([, { dtype }]) => dtype === "F32")
      .map(([name, { shape, data_offsets: [from, to] }]) => {
        const isAligned = (start + from) % Float32Array.BYTES_PER_ELEMENT === 0;
        const bytes = isAligned ? buffer : buffer.slice(start + from, start + to);
        return [name, { shape, values: new Float32Array(bytes, isAligned ? start + from : 0, countOf(shape)) }];
      }),
  );
}

function headerOf(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const text = new TextDecoder().decode(new Uint8Array(buffer, PREFIX_BYTES, length));
  return { header: JSON.parse(text), start: PREFIX_BYTES + length };
}

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
  const { header, start: first } = headerOf(buffer);
  const { __metadata__: metadata, ...described } = header;
  const tensors = Object.fromEntries(
    Object.entries(described).map(([name, { dtype, shape, data_offsets: [start] }]) => {
      const { read } = READERS[dtype];
      const view = new DataView(buffer, first + start);
      return [name, { shape, values: Array.from({ length: countOf(shape) }, (_, index) => read(view, index)) }];
    }),
  );
  return { tensors, request: JSON.parse(metadata?.request ?? "{}") };
}
