// Asks the service for numbers that a view shows beside the result of the page.
import { post } from "./api.js";
import { createNewest } from "./newest.js";

const PAUSE_MILLISECONDS = 200;

// `answered` is called with the bodies of the answers, or null where there are none to be had, and with the question.
export function createConfirming({ answered }) {
  const newest = createNewest({
    pause: PAUSE_MILLISECONDS,
    send: (requests, signal) => Promise.all(requests.map((request) => post("v1/attention", request, signal))),
    answered,
    failed: (_, question) => answered(null, question),
  });
  // `question` names the requests.
  return { ask: (requests, question) => newest.ask(question, requests) };
}
