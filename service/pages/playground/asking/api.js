// The service, at addresses relative to this page, so that it works behind any prefix.
export class Unreachable extends Error {}

// What a problem document says; `slug` is the end of its type.
export class Problem extends Error {
  constructor(status, document, retryAfter) {
    super(document.detail ?? "");
    this.status = status;
    this.slug = String(document.type ?? "")
      .split("/")
      .pop();
    this.detail = typeof document.detail === "string" ? document.detail : "";
    this.request = typeof document.instance === "string" ? document.instance : "";
    this.errors = (Array.isArray(document.errors) ? document.errors : []).filter(
      (error) => typeof error?.pointer === "string",
    );
    this.retryAfter = retryAfter;
  }
}

// The key lives as long as the page: it is in no storage, no address and no shared link.
let key = "";

export function useKey(text) {
  key = text.trim();
}

// Text that cannot be an API key is not sent; the service then answers that a key is missing.
const authorization = () => (/^[!-~]+$/.test(key) ? { Authorization: `Bearer ${key}` } : {});

export const get = (path, signal) => ask(path, { signal });

export const post = (path, body, signal) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });

async function ask(path, options) {
  let response;
  let text;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, ...authorization() } });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable(path, { cause: error });
  }
  const document = parse(text);
  if (!response.ok || document === null) {
    throw new Problem(response.status, document ?? {}, Number(response.headers.get("Retry-After")) || null);
  }
  return document;
}

function parse(text) {
  try {
    const document = JSON.parse(text);
    return typeof document === "object" ? document : null;
  } catch {
    return null;
  }
}
