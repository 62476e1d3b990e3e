// Tensors of a safetensors file; strict, since a person may have dropped any file.
import { countOf } from "../state/used_memory.js";
import { brainOf, halfOf } from "../files/halves.js";
import { FileProblem, require, shapeText } from "../files/problem.js";

const PREFIX_BYTES = 8;

const READERS = {
  F64: { dtype: "float64", bytes: 8, read: (view, at) => view.getFloat64(at, true) },
  F32: { dtype: "float32", bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  F16: { dtype: "float16", bytes: 2, read: (view, at) => halfOf(view.getUint16(at, true)) },
  BF16: { dtype: "bfloat16", bytes: 2, read: (view, at) => brainOf(view.getUint16(at, true)) },
  I64: { dtype: "int", bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
  I32: { dtype: "int", bytes: 4, read: (view, at) => view.getInt32(at, true) },
  BOOL: { dtype: "bool", bytes: 1, read: (view, at) => view.getUint8(at) },
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

// Returns {tensors: {name: {shape, dtype, values}}, request} with what the metadata hold beside the tensors.
export function readSafetensors(buffer) {
  const { header, start } = headerOf(buffer);
  const { __metadata__: metadata, ...described } = header;
  const tensors = Object.fromEntries(
    Object.entries(described).map(([name, about]) => [name, tensorOf(name, about, buffer, start)]),
  );
  return { tensors, request: parsed(metadata?.request ?? "{}") };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new FileProblem("file.safetensors");
  }
}

function headerOf(buffer) {
  require(buffer.byteLength >= PREFIX_BYTES, "file.safetensors");
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  require(length <= buffer.byteLength - PREFIX_BYTES, "file.safetensors");
  const header = parsed(new TextDecoder().decode(new Uint8Array(buffer, PREFIX_BYTES, length)));
  return { header: { ...header }, start: PREFIX_BYTES + length };
}

const isSize = (size) => Number.isSafeInteger(size) && size >= 0;

function tensorOf(name, about, buffer, start) {
  const { dtype: kind, shape, data_offsets: offsets } = about ?? {};
  require([shape, offsets].every((sizes) => Array.isArray(sizes) && sizes.every(isSize)), "file.safetensors");
  require(Object.hasOwn(READERS, kind), "file.dtype", { name, received: kind });
  const { dtype, bytes, read } = READERS[kind];
  const [from, to] = offsets;
  const [expected, received] = [countOf(shape) * bytes, Math.min(to, buffer.byteLength - start) - from];
  require(expected === received, "file.length", { name, shape: shapeText(shape), expected, received });
  const view = new DataView(buffer, start + from, received);
  return { shape, dtype, values: Array.from({ length: countOf(shape) }, (_, index) => read(view, index * bytes)) };
}
