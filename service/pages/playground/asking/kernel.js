// Asks the service to check a candidate, and what it expects in its place; the newest question wins.
import { Problem, Unreachable, post } from "./api.js";
import { createRetry } from "./retry.js";

const PAUSE_MILLISECONDS = 150;

// `on` holds answered(verdict, reference), failed(problem), with null for a service that cannot be reached.
export function createKernelCheck(on) {
  let newest = "";
  let controller = null;
  let timer = null;
  const retry = createRetry();

  async function ask(key, question, reference) {
    controller = new AbortController();
    const { signal } = controller;
    try {
      const asked = [
        post("v1/attention/check", question, signal),
        reference && post("v1/attention", reference, signal),
      ];
      const [verdict, expected] = await Promise.all(asked);
      if (key === newest) on.answered(verdict, expected);
    } catch (error) {
      if (key !== newest || error.name === "AbortError") return;
      if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
      retry.note(error);
      on.failed(error instanceof Problem ? error : null);
    }
  }

  return {
    // `reference` is null for a question whose numbers are not shown.  Returns whether this is another question.
    ask(question, reference) {
      const key = JSON.stringify(question);
      if (key === newest && !retry.isDue()) return false;
      newest = key;
      retry.note(null);
      clearTimeout(timer);
      controller?.abort();
      timer = setTimeout(() => ask(key, question, reference()), PAUSE_MILLISECONDS);
      return true;
    },
    forget() {
      newest = "";
      retry.note(null);
      clearTimeout(timer);
      controller?.abort();
    },
  };
}
