// Asks the service to check a candidate, and what it expects in its place.
import { post } from "./api.js";
import { createNewest } from "./newest.js";

const PAUSE_MILLISECONDS = 150;

// `on` holds answered(verdict, reference), failed(problem), with null for a service that cannot be reached.
export function createKernelCheck(on) {
  const newest = createNewest({
    pause: PAUSE_MILLISECONDS,
    send({ question, reference }, signal) {
      const compared = reference();
      return Promise.all([
        post("v1/attention/check", question, signal),
        compared && post("v1/attention", compared, signal),
      ]);
    },
    answered: ([verdict, expected]) => on.answered(verdict, expected),
    failed: on.failed,
  });
  return {
    // `reference` returns null for a question whose numbers are not shown.  Returns whether it is asked now.
    ask: (question, reference) => newest.ask(JSON.stringify(question), { question, reference }),
    forget: newest.forget,
  };
}
