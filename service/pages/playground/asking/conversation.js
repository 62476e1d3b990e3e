// Requests to the service: which are sent when the state has changed, and where their answers go.
import { Problem } from "./api.js";
import { compare } from "./check.js";
import { createComputing } from "./computing.js";
import { announce, noticeFor } from "../page/notices.js";
import { attend } from "../reference/attend.js";
import { isComplete, readAnswer, requestOf } from "./request.js";

// `repaint` is called when an answer or a refusal changes what stands beside the inputs, `keyNeeded` when the service
// does not know who asks.
export function createAsking({ store, results, reports, notices, repaint, keyNeeded }) {
  let asked = null;
  let saying = null;

  const computing = createComputing({
    pending: () => results.mark("pending"),
    answered(request, body, state) {
      const numbers = readAnswer(body);
      if (isComplete(numbers, request)) show(request, numbers, state);
      else refuse(new Problem(200, {}));
    },
    failed: refuse,
    unreachable(seconds) {
      results.mark("stale");
      notices.set("problem", null);
      notices.set("away", { key: "notice.away", values: { seconds }, canRetry: true });
    },
  });

  function show(request, numbers, state) {
    const reference = attend(request);
    notices.set("away", null);
    notices.set("problem", null);
    reports.place(null);
    results.show({ state, request, numbers, reference, found: compare(request, numbers, reference) }, store.get());
    repaint();
    if (saying) announce(saying(numbers));
    saying = null;
  }

  function refuse(problem) {
    if (problem.slug === "unauthorized") keyNeeded();
    results.mark("stale");
    notices.set("away", null);
    const placed = reports.place(problem, store.get());
    notices.set("problem", placed ? null : noticeFor(problem));
    repaint();
  }

  return {
    again: computing.again,
    // What to say aloud when the next answer is there; null is nothing.
    say(next) {
      saying = next;
    },
    // Even the same question is asked again: another example may happen to ask it.
    forget() {
      asked = null;
      saying = null;
    },
    // No request is sent while a field holds no number: the screen then shows the last good result.
    refresh() {
      if (reports.isBlocked()) {
        computing.cancel();
        asked = null;
        results.mark("stale");
        return;
      }
      const state = store.get();
      const request = requestOf(state);
      const question = JSON.stringify(request);
      if (question === asked) return;
      asked = question;
      results.mark("pending");
      computing.ask(request, state);
    },
  };
}
