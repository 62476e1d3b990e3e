// When a question that could not be answered may be asked again: not at every look at the page, but soon.
import { Unreachable } from "./api.js";

const PAUSE_MILLISECONDS = 2000;

const TEMPORARY = [401, 429, 503];

export function createRetry() {
  let failedAt = null;
  return {
    // After each answer, with the error or null.
    note(error) {
      const isTemporary = error instanceof Unreachable || TEMPORARY.includes(error?.status);
      failedAt = isTemporary ? performance.now() : null;
    },
    isDue: () => failedAt !== null && performance.now() > failedAt + PAUSE_MILLISECONDS,
  };
}
