// Asks the service to explain the focused cell; the newest question wins, and the same one is not asked twice.
import { Problem, Unreachable, post } from "./api.js";

const PAUSE_MILLISECONDS = 40;

// `on` holds explained(answer or null, key) with null when there is no explanation to be had.
export function createExplaining(on) {
  let newest = "";
  let controller = null;
  let timer = null;

  async function ask(question, key) {
    controller = new AbortController();
    try {
      const answer = await post("v1/attention/explain", question, controller.signal);
      if (key === newest) on.explained(answer);
    } catch (error) {
      if (key !== newest || error.name === "AbortError") return;
      if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
      newest = "";
      on.explained(null);
    }
  }

  return {
    // Returns whether this is another question than the one before.
    ask(question) {
      const key = JSON.stringify(question);
      if (key === newest) return false;
      newest = key;
      clearTimeout(timer);
      controller?.abort();
      timer = setTimeout(() => ask(question, key), PAUSE_MILLISECONDS);
      return true;
    },
  };
}
