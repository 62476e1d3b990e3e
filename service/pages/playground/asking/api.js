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

export const hasKey = () => key !== "";

// Text that cannot be an API key is not sent; the service then answers that a key is missing.
const authorization = () => (/^[!-~]+$/.test(key) ? { Authorization: `Bearer ${key}` } : {});

export const get = (path, signal) => ask(path, { signal });

const JSON_BODY = { "Content-Type": "application/json" };

export const post = (path, body, signal) =>
  ask(path, { method: "POST", headers: JSON_BODY, body: JSON.stringify(body), signal });

const SAFETENSORS = "application/vnd.safetensors";

// Sends the bytes of a safetensors file, and returns those of the answer.
export async function postTensors(path, body, signal) {
  const headers = { "Content-Type": SAFETENSORS, Accept: SAFETENSORS };
  return (await exchange(path, { method: "POST", headers, body, signal })).content;
}

// `condition` holds If-Match or If-None-Match.
export const put = (path, body, condition) =>
  ask(path, { method: "PUT", headers: { ...JSON_BODY, ...condition }, body: JSON.stringify(body) });

export const remove = (path, condition) => exchange(path, { method: "DELETE", headers: condition });

export const download = async (path, condition) => (await exchange(path, { headers: condition })).content;

async function ask(path, options) {
  const { response, content } = await exchange(path, options);
  const document = parse(content);
  if (document === null) throw problemOf(response, {});
  return document;
}

// Returns a response that is no problem, and its content as an ArrayBuffer.
async function exchange(path, options) {
  let response;
  let content;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, ...authorization() } });
    content = await response.arrayBuffer();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable(path, { cause: error });
  }
  if (!response.ok) throw problemOf(response, parse(content) ?? {});
  return { response, content };
}

const problemOf = (response, document) =>
  new Problem(response.status, document, Number(response.headers.get("Retry-After")) || null);

function parse(content) {
  try {
    const document = JSON.parse(new TextDecoder().decode(content));
    return typeof document === "object" ? document : null;
  } catch {
    return null;
  }
}
