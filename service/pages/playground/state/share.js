// The whole state as the fragment of a link: version, a dot, and the packed document, deflated, in base64url.
// Version 1, which earlier pages wrote, has plain JSON in the place of the packed document.
import { pack, unpack } from "./pack.js";
import { emptyMask, opening } from "./store.js";

const VERSION = "2";

const READERS = {
  1: (bytes) => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)),
  2: unpack,
};

// Members that a link leaves out where they are these.
const USUAL = { b: 0, h: null, m: emptyMask(), f: opening(), x: {}, y: null, t: null, l: null };

const LARGEST_DOCUMENT = 4_000_000;

export class BrokenLink extends Error {}

// What a link holds, as an object.
export function documentOf(state) {
  const { example, batch, heads, query, names, scoreModel, normalizer, mask, further, focus } = state;
  const { memory, panel, lesson } = state;
  // Of a memory the name alone: its numbers stay with the service, and the link holds the typed ones.
  const typed = memory?.typed ?? { key: state.key, value: state.value, names: names.key };
  return {
    e: example,
    b: batch,
    // A memory has no heads, and all typed slices count as batch rows beside it.
    h: memory?.about ? null : heads && [heads.query, heads.key],
    q: query,
    k: typed.key,
    v: typed.value,
    n: { ...names, key: typed.names },
    m: mask,
    f: focus,
    s: [scoreModel.name, scoreModel.parameters],
    w: [normalizer.name, normalizer.parameters],
    y: memory?.name ?? null,
    t: panel && [panel.name, panel.options],
    l: lesson && [lesson.step, lesson.answer, lesson.before],
    x: Object.fromEntries(Object.entries(further).filter(([, value]) => value !== null)),
  };
}

export async function encodeShare(state) {
  const unusual = Object.entries(documentOf(state)).filter(
    ([name, part]) => JSON.stringify(part) !== JSON.stringify(USUAL[name]),
  );
  const bytes = pack(Object.fromEntries(unusual));
  const packed = await through(bytes, new CompressionStream("deflate-raw"), Infinity);
  const letters = Array.from(packed, (byte) => String.fromCharCode(byte)).join("");
  return `#${VERSION}.${btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

// Throws BrokenLink for a fragment that no page has written.
export async function decodeShare(fragment) {
  const [, version, letters] = /^#(\d+)\.([\w-]+)$/.exec(fragment) ?? [];
  if (!Object.hasOwn(READERS, version ?? "")) throw new BrokenLink("unknown version");
  try {
    const packed = Uint8Array.from(atob(letters.replaceAll("-", "+").replaceAll("_", "/")), (letter) =>
      letter.charCodeAt(0),
    );
    const bytes = await through(packed, new DecompressionStream("deflate-raw"), LARGEST_DOCUMENT);
    return { ...structuredClone(USUAL), ...READERS[version](bytes) };
  } catch (error) {
    throw new BrokenLink("not readable", { cause: error });
  }
}

// Stops as soon as the result grows beyond the limit: a short link can unfold into gigabytes.
async function through(bytes, transform, limit) {
  const reader = new Blob([bytes]).stream().pipeThrough(transform).getReader();
  const parts = [];
  for (let size = 0; ;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > limit) {
      await reader.cancel();
      throw new RangeError("too large");
    }
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
