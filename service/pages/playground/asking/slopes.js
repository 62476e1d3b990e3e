// Asks the service for gradients.
import { post } from "./api.js";
import { createNewest } from "./newest.js";

const PAUSE_MILLISECONDS = 120;

// `on` holds answered(answers, key) and failed(problem), with null for a service that cannot be reached.
export function createGradientsAsking(on) {
  const newest = createNewest({
    pause: PAUSE_MILLISECONDS,
    send: (questions, signal) =>
      Promise.all(questions.map((question) => post("v1/attention/gradients", question, signal))),
    ...on,
  });
  return {
    // Returns what these questions are known by, as the answer is.
    ask(questions) {
      const key = JSON.stringify(questions);
      newest.ask(key, questions);
      return key;
    },
  };
}
