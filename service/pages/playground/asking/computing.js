// Asks the service whenever what it would be asked has changed; only the newest question's answer counts.
import { Problem, Unreachable, post } from "./api.js";

const PAUSE_MILLISECONDS = 120;

const RETRY_SECONDS = [1, 2, 4, 8];

// `on` holds pending(), answered(request, body, state), failed(problem), unreachable(secondsUntilRetry).
export function createComputing(on) {
  let newest = 0;
  let failures = 0;
  let asked = null;
  let controller = null;
  let timer = null;

  function schedule(question, milliseconds) {
    clearTimeout(timer);
    newest += 1;
    controller?.abort();
    asked = question;
    const number = newest;
    timer = setTimeout(() => ask(number, question), milliseconds);
  }

  async function ask(number, { request, state }) {
    controller = new AbortController();
    on.pending();
    try {
      const body = await post("v1/attention", request, controller.signal);
      if (number !== newest) return;
      failures = 0;
      on.answered(request, body, state);
    } catch (error) {
      if (number === newest) fail(error);
    }
  }

  // A question that has been taken back is not asked again.
  function again(milliseconds) {
    if (asked) schedule(asked, milliseconds);
  }

  function fail(error) {
    if (error instanceof Unreachable) {
      const seconds = RETRY_SECONDS[Math.min(failures, RETRY_SECONDS.length - 1)];
      failures += 1;
      on.unreachable(seconds);
      again(seconds * 1000);
    } else if (error instanceof Problem) {
      on.failed(error);
      if (error.retryAfter) again(error.retryAfter * 1000);
    } else if (error.name !== "AbortError") {
      throw error;
    }
  }

  return {
    ask: (request, state) => schedule({ request, state }, PAUSE_MILLISECONDS),
    again: () => again(0),
    // The answer is no longer wanted, for instance while a field holds no number.
    cancel() {
      clearTimeout(timer);
      asked = null;
      newest += 1;
      controller?.abort();
    },
  };
}
