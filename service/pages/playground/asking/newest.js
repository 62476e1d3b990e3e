// Asks the service what a view shows beside the result of the page: once the question has rested, and only the newest.
import { Problem, Unreachable } from "./api.js";

const RETRY_MILLISECONDS = 2000;

// Statuses after which the same question may be answered later.
const TEMPORARY = [401, 429, 503];

// `send(question, signal)` promises an answer.  `answered(answer, key)` and `failed(problem, key)` hear of the newest
// question alone, `failed` with null for a service that cannot be reached.
export function createNewest({ pause, send, answered, failed }) {
  let newest = "";
  let controller = null;
  let timer = null;
  let failedAt = null;

  async function run(key, question) {
    controller = new AbortController();
    const { signal } = controller;
    try {
      const answer = await send(question, signal);
      if (key === newest) answered(answer, key);
    } catch (error) {
      if (key !== newest || error.name === "AbortError") return;
      if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
      // Other requests of the same question are wanted no more.
      controller.abort();
      const isTemporary = error instanceof Unreachable || TEMPORARY.includes(error.status);
      failedAt = isTemporary ? performance.now() : null;
      failed(error instanceof Problem ? error : null, key);
    }
  }

  // What could not be answered is asked again some time later, at the next look at the page.
  const isRetryDue = () => failedAt !== null && performance.now() > failedAt + RETRY_MILLISECONDS;

  function forget() {
    newest = "";
    failedAt = null;
    clearTimeout(timer);
    controller?.abort();
  }

  return {
    forget,
    // `key` names the question: the same one is not asked twice.  Returns whether it is asked now.
    ask(key, question) {
      if (key === newest && !isRetryDue()) return false;
      forget();
      newest = key;
      timer = setTimeout(() => run(key, question), pause);
      return true;
    },
  };
}
