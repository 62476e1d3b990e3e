// Numbers as bytes, for links: a document becomes its JSON, a line break, and the bytes of its larger arrays.
//
// An array of numbers or of booleans stands in the JSON as {"#": [kind, planes, …sizes]}.  The kind is the number of
// decimals, when every number is an integer divided by that power of ten; "f" for float32, "d" for float64, "b" for
// booleans.  Plane i holds byte i of every element, as bytes of one significance compress better side by side.
const MARK = "#";

const MIN_PACKED_NUMBERS = 24;

const MAX_DECIMALS = 15;

const LARGEST_INTEGER = 2 ** 47;

const MAX_RANK = 3;

const LINE_BREAK = 10;

export function pack(document) {
  const parts = [];

  function replaceArrays(node) {
    if (Array.isArray(node)) {
      const sizes = sizesOf(node);
      const packed = sizes && packArray(node.flat(sizes.length - 1), sizes);
      if (!packed) return node.map(replaceArrays);
      parts.push(...packed.planes);
      return { [MARK]: [packed.kind, packed.planes.length, ...sizes] };
    }
    if (typeof node !== "object" || node === null) return node;
    return Object.fromEntries(Object.entries(node).map(([name, part]) => [name, replaceArrays(part)]));
  }

  const head = new TextEncoder().encode(`${JSON.stringify(replaceArrays(document))}\n`);
  return joined([head, ...parts]);
}

// Throws an Error for bytes that `pack` has not written.
export function unpack(bytes) {
  const end = bytes.indexOf(LINE_BREAK);
  let at = end + 1;

  function take(size) {
    if (!(size <= bytes.length - at)) throw new RangeError("bytes are missing");
    at += size;
    return bytes.subarray(at - size, at);
  }

  function restoreArrays(node) {
    if (Array.isArray(node)) return node.map(restoreArrays);
    if (typeof node !== "object" || node === null) return node;
    if (Object.hasOwn(node, MARK)) return unpackArray(node[MARK], take);
    return Object.fromEntries(Object.entries(node).map(([name, part]) => [name, restoreArrays(part)]));
  }

  const document = restoreArrays(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, end))));
  if (at !== bytes.length) throw new RangeError("bytes are left over");
  return document;
}

// The sizes of an array that has the same ones throughout; null for any other.
function sizesOf(node) {
  if (!Array.isArray(node)) return [];
  const [first, ...others] = node.map(sizesOf);
  if (!first || others.some((sizes) => !sizes || sizes.join() !== first.join())) return null;
  return first.length < MAX_RANK ? [node.length, ...first] : null;
}

function packArray(elements, sizes) {
  if (elements.length < MIN_PACKED_NUMBERS || !sizes.every(Boolean)) return null;
  if (elements.every((each) => typeof each === "boolean")) return { kind: "b", planes: planesOf(elements.map(Number)) };
  if (!elements.every(Number.isFinite)) return null;
  const decimals = decimalsOf(elements);
  if (decimals !== null) {
    const integers = elements.map((each) => Math.round(each * 10 ** decimals));
    return { kind: decimals, planes: planesOf(integers.map((each) => (each < 0 ? -2 * each - 1 : 2 * each))) };
  }
  const isSingle = elements.every((each) => Object.is(Math.fround(each), each));
  const bytes = new Uint8Array(littleEndian(elements, isSingle));
  const width = isSingle ? 4 : 8;
  const planes = Array.from({ length: width }, (_, plane) => elementsAt(bytes, plane, width));
  return { kind: isSingle ? "f" : "d", planes };
}

const elementsAt = (bytes, plane, width) =>
  Uint8Array.from({ length: bytes.length / width }, (_, index) => bytes[index * width + plane]);

function littleEndian(elements, isSingle) {
  const view = new DataView(new ArrayBuffer(elements.length * (isSingle ? 4 : 8)));
  elements.forEach((each, index) =>
    isSingle ? view.setFloat32(4 * index, each, true) : view.setFloat64(8 * index, each, true),
  );
  return view.buffer;
}

// A quotient of an integer and a power of ten is rounded as the decimal number itself is, so that both are the same.
function decimalsOf(elements) {
  for (let decimals = 0; decimals <= MAX_DECIMALS; decimals += 1) {
    const power = 10 ** decimals;
    const fits = elements.every((each) => {
      const integer = Math.round(each * power);
      return Math.abs(integer) < LARGEST_INTEGER && integer / power === each;
    });
    if (fits) return decimals;
  }
  return null;
}

function planesOf(integers) {
  const planes = [];
  let rest = integers;
  do {
    planes.push(Uint8Array.from(rest, (each) => each % 256));
    rest = rest.map((each) => Math.floor(each / 256));
  } while (rest.some(Boolean));
  return planes;
}

function unpackArray([kind, count, ...sizes], take) {
  const width = { f: 4, d: 8, b: 1 }[kind] ?? count;
  const isKnown = typeof kind === "string" || (Number.isInteger(kind) && kind >= 0 && kind <= MAX_DECIMALS);
  const areSizes = sizes.length >= 1 && sizes.length <= MAX_RANK && sizes.every((size) => Number.isInteger(size) && size > 0);
  if (!isKnown || !areSizes || width !== count || !(count >= 1 && count <= 8)) throw new TypeError("no array");
  const length = sizes.reduce((product, size) => product * size, 1);
  const planes = take(length * count);
  const bytes = new Uint8Array(length * count);
  for (let index = 0; index < bytes.length; index += 1) {
    bytes[(index % length) * count + Math.floor(index / length)] = planes[index];
  }
  return shaped(elementsOf(bytes, kind, count), sizes);
}

function elementsOf(bytes, kind, width) {
  const view = new DataView(bytes.buffer);
  const read = {
    f: (at) => view.getFloat32(at, true),
    d: (at) => view.getFloat64(at, true),
    b: (at) => bytes[at] === 1,
  }[kind];
  const readInteger = (at) => {
    const folded = bytes.subarray(at, at + width).reduceRight((sum, byte) => sum * 256 + byte, 0);
    return (folded % 2 ? -(folded + 1) / 2 : folded / 2) / 10 ** kind;
  };
  return Array.from({ length: bytes.length / width }, (_, index) => (read ?? readInteger)(index * width));
}

function shaped(elements, [size, ...inner]) {
  if (!inner.length) return elements;
  const step = elements.length / size;
  return Array.from({ length: size }, (_, index) => shaped(elements.slice(index * step, (index + 1) * step), inner));
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
