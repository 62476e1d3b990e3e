// Asks the service for numbers that a view shows beside the result of the page; only the newest question's answer counts.
import { Problem, Unreachable, post } from "./api.js";
import { createRetry } from "./retry.js";

const PAUSE_MILLISECONDS = 200;

// `answered` is called with the bodies of the answers, or null where there are none to be had, and with the question.
export function createConfirming({ answered }) {
  let newest = "";
  let controller = null;
  let timer = null;
  const retry = createRetry();

  async function send(requests, question) {
    controller = new AbortController();
    const { signal } = controller;
    try {
      const bodies = await Promise.all(requests.map((request) => post("v1/attention", request, signal)));
      if (question === newest) answered(bodies, question);
    } catch (error) {
      if (question !== newest || error.name === "AbortError") return;
      if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
      retry.note(error);
      answered(null, question);
    }
  }

  return {
    // `question` names the requests: the same one is not asked twice.
    ask(requests, question) {
      if (question === newest && !retry.isDue()) return;
      newest = question;
      retry.note(null);
      clearTimeout(timer);
      controller?.abort();
      timer = setTimeout(() => send(requests, question), PAUSE_MILLISECONDS);
    },
  };
}
