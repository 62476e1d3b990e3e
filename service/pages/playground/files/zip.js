// Zip archives, as np.savez writes them: members that are stored or deflated, without zip64.
import { FileProblem, MAX_BYTES, require } from "./problem.js";

const [LOCAL, CENTRAL, END] = [0x04034b50, 0x02014b50, 0x06054b50];

const [LOCAL_BYTES, CENTRAL_BYTES, END_BYTES, MAX_COMMENT] = [30, 46, 22, 65535];

const [STORED, DEFLATED] = [0, 8];

// The first of January 1980: the archive says nothing about when it was made.
const DATE = 0x21;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

function checksum(bytes) {
  let rest = 0xffffffff;
  for (const byte of bytes) rest = (rest >>> 8) ^ TABLE[(rest ^ byte) & 255];
  return (rest ^ 0xffffffff) >>> 0;
}

// Returns the members in their order, [name, bytes] each; throws FileProblem.
export async function readZip(buffer) {
  const view = new DataView(buffer);
  const end = endOf(view);
  const [count, start] = [view.getUint16(end + 10, true), view.getUint32(end + 16, true)];
  const members = [];
  let [at, total] = [start, 0];
  for (let index = 0; index < count; index += 1) {
    require(at + CENTRAL_BYTES <= end && view.getUint32(at, true) === CENTRAL, "file.zip");
    const entry = entryAt(view, at);
    at += CENTRAL_BYTES + entry.extent;
    total += entry.size;
    require(total <= MAX_BYTES, "file.large");
    members.push([entry.name, await contentOf(view, entry)]);
  }
  return members;
}

function endOf(view) {
  for (let at = view.byteLength - END_BYTES; at >= Math.max(0, view.byteLength - END_BYTES - MAX_COMMENT); at -= 1)
    if (view.getUint32(at, true) === END) return at;
  throw new FileProblem("file.zip");
}

const textAt = (view, at, length) => new TextDecoder().decode(new Uint8Array(view.buffer, at, length));

function entryAt(view, at) {
  const [nameBytes, extra, comment] = [28, 30, 32].map((place) => view.getUint16(at + place, true));
  const [crc, packed, size] = [16, 20, 24].map((place) => view.getUint32(at + place, true));
  const extent = nameBytes + extra + comment;
  require(at + CENTRAL_BYTES + extent <= view.byteLength, "file.zip");
  const name = textAt(view, at + CENTRAL_BYTES, nameBytes);
  return {
    name,
    method: view.getUint16(at + 10, true),
    crc,
    packed,
    size,
    extent,
    local: view.getUint32(at + 42, true),
  };
}

async function contentOf(view, { name, method, crc, packed, size, local }) {
  require(method === STORED || method === DEFLATED, "file.zip_method", { name, method });
  require(local + LOCAL_BYTES <= view.byteLength && view.getUint32(local, true) === LOCAL, "file.zip");
  const start = local + LOCAL_BYTES + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  require(start + packed <= view.byteLength, "file.zip");
  const raw = new Uint8Array(view.buffer, start, packed);
  const bytes = method === STORED ? raw : await inflated(raw, size);
  require(bytes?.length === size && checksum(bytes) === crc, "file.zip");
  return bytes;
}

// Null for more bytes than were announced, and for bytes that are no deflated data.
async function inflated(raw, size) {
  const reader = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const bytes = new Uint8Array(size);
  let at = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return at === size ? bytes : null;
      bytes.set(value, at);
      at += value.length;
    }
  } catch {
    await reader.cancel().catch(() => null);
    return null;
  }
}

// Returns an archive of stored members, [name, bytes] each, as parts of a Blob.
export function writeZip(members) {
  const [bodies, directory] = [[], []];
  let at = 0;
  for (const [name, bytes] of members) {
    const title = new TextEncoder().encode(name);
    const shared = [STORED, 0, DATE, checksum(bytes), bytes.length, bytes.length, title.length];
    bodies.push(
      record(
        [
          [4, LOCAL],
          [2, 20],
          [2, 0],
        ],
        shared,
        [[2, 0]],
      ),
      title,
      bytes,
    );
    const tail = [
      [2, 0],
      [2, 0],
      [2, 0],
      [2, 0],
      [4, 0],
      [4, at],
    ];
    directory.push(
      record(
        [
          [4, CENTRAL],
          [2, 20],
          [2, 20],
          [2, 0],
        ],
        shared,
        tail,
      ),
      title,
    );
    at += LOCAL_BYTES + title.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = [
    [4, END],
    [2, 0],
    [2, 0],
    [2, members.length],
    [2, members.length],
    [4, size],
    [4, at],
    [2, 0],
  ];
  return [...bodies, ...directory, pieces(end)];
}

const SHARED_BYTES = [2, 2, 2, 4, 4, 4, 2];

const record = (head, shared, tail) =>
  pieces([...head, ...shared.map((number, index) => [SHARED_BYTES[index], number]), ...tail]);

function pieces(fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [bytes]) => sum + bytes, 0)));
  let at = 0;
  for (const [bytes, number] of fields) {
    if (bytes === 2) view.setUint16(at, number, true);
    else view.setUint32(at, number, true);
    at += bytes;
  }
  return new Uint8Array(view.buffer);
}
