// Asks the service for gradients; the newest questions win, and the same ones are not asked twice.
import { Problem, Unreachable, post } from "./api.js";
import { createRetry } from "./retry.js";

const PAUSE_MILLISECONDS = 120;

// `on` holds answered(answers, key) and failed(problem), with null for a service that cannot be reached.
export function createGradientsAsking(on) {
  let newest = "";
  let controller = null;
  let timer = null;
  const retry = createRetry();

  async function ask(key, questions) {
    controller = new AbortController();
    try {
      const { signal } = controller;
      const answers = await Promise.all(questions.map((question) => post("v1/attention/gradients", question, signal)));
      if (key === newest) on.answered(answers, key);
    } catch (error) {
      if (key !== newest || error.name === "AbortError") return;
      if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
      controller.abort();
      retry.note(error);
      on.failed(error instanceof Problem ? error : null);
    }
  }

  return {
    // Returns what these questions are known by, as the answer is.
    ask(questions) {
      const key = JSON.stringify(questions);
      if (key === newest && !retry.isDue()) return key;
      newest = key;
      retry.note(null);
      clearTimeout(timer);
      controller?.abort();
      timer = setTimeout(() => ask(key, questions), PAUSE_MILLISECONDS);
      return key;
    },
  };
}
