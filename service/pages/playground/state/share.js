// The whole state as the fragment of a link: version, a dot, deflated JSON in base64url.
const VERSION = "1";

const LARGEST_DOCUMENT = 4_000_000;

export class BrokenLink extends Error {}

export async function encodeShare(state) {
  const { example, language, batch, query, names, scoreModel, normalizer, mask, further, focus, memory } = state;
  // Of a memory the name alone: its numbers stay with the service, and the link holds the typed ones.
  const typed = memory?.typed ?? { key: state.key, value: state.value, names: names.key };
  const document = {
    e: example,
    l: language,
    b: batch,
    q: query,
    k: typed.key,
    v: typed.value,
    n: { ...names, key: typed.names },
    m: mask,
    f: focus,
    s: [scoreModel.name, scoreModel.parameters],
    w: [normalizer.name, normalizer.parameters],
    y: memory?.name,
    x: Object.fromEntries(Object.entries(further).filter(([, value]) => value !== null)),
  };
  const json = new TextEncoder().encode(JSON.stringify(document));
  const packed = await through(json, new CompressionStream("deflate-raw"), Infinity);
  const letters = Array.from(packed, (byte) => String.fromCharCode(byte)).join("");
  return `#${VERSION}.${btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

// Throws BrokenLink for a fragment that no page has written.
export async function decodeShare(fragment) {
  const [, version, letters] = /^#(\d+)\.([\w-]+)$/.exec(fragment) ?? [];
  if (version !== VERSION) throw new BrokenLink("unknown version");
  try {
    const packed = Uint8Array.from(atob(letters.replaceAll("-", "+").replaceAll("_", "/")), (letter) =>
      letter.charCodeAt(0),
    );
    const json = await through(packed, new DecompressionStream("deflate-raw"), LARGEST_DOCUMENT);
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
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
