// Requests to the service: which are sent when the state has changed, and where their answers go.
import { Problem } from "./api.js";
import { compare } from "./check.js";
import { createComputing } from "./computing.js";
import { announce, noticeFor } from "../page/notices.js";
import { attend } from "../reference/attend.js";
import { isLarge } from "../state/store.js";
import { isAwaited } from "../state/used_memory.js";
import { previewOf } from "./preview.js";
import { answerIndexOf, isComplete, readAnswer, requestOf, tensorsOf, wholeRequestOf } from "./request.js";

// `repaint` is called when an answer or a refusal changes what stands beside the inputs, `keyNeeded` when the service
// does not know who asks.
export function createAsking({ store, catalogue, results, reports, notices, repaint, keyNeeded }) {
  let asked = null;
  let shownSlice = "";
  let saying = null;
  // The last answer, with what it answers: it has all slices.
  let held = null;

  const computing = createComputing({
    pending: () => results.mark("pending"),
    answered(request, body, state) {
      held = { question: asked, body };
      take(request, body, state);
    },
    failed: refuse,
    unreachable(seconds) {
      results.mark("stale");
      notices.set("problem", null);
      notices.set("away", { key: "notice.away", values: { seconds }, canRetry: true });
    },
  });

  function take(request, body, state) {
    const numbers = readAnswer(body, answerIndexOf(state));
    if (isComplete(numbers, request)) show(requestOf(state), { ...numbers, body }, state);
    else refuse(new Problem(200, {}));
  }

  function show(request, numbers, state) {
    // With a memory the request has a name in the place of the numbers.
    const whole = { ...request, ...tensorsOf(state) };
    const reference = isLarge(state) ? null : attend(whole);
    notices.set("away", null);
    notices.set("problem", null);
    reports.place(null);
    results.show({ state, request, numbers, reference, found: compare(whole, numbers, reference) }, store.get());
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
      held = null;
      saying = null;
    },
    // No request is sent while a field holds no number, or a memory is not there: the screen then shows the last good
    // result.
    refresh() {
      const state = store.get();
      if (reports.isBlocked() || isAwaited(state)) {
        computing.cancel();
        asked = null;
        results.mark(state.memory?.status === "loading" ? "pending" : "stale");
        return;
      }
      const request = wholeRequestOf(state);
      const question = JSON.stringify(request);
      const slice = answerIndexOf(state).join();
      if (question === asked && slice === shownSlice) return;
      // All slices are in the answer to one request.
      const isHeld = question === asked && held?.question === question;
      [asked, shownSlice] = [question, slice];
      if (isHeld) {
        take(request, held.body, state);
        return;
      }
      results.mark("pending");
      const own = requestOf(state);
      const numbers = previewOf(state, own, catalogue);
      const isPreviewed = numbers && results.preview({ state, request: own, numbers }, state);
      if (isPreviewed && store.heldBy()) {
        computing.cancel();
        asked = null;
        return;
      }
      computing.ask(request, state);
    },
  };
}
