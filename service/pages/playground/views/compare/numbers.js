// The numbers of B: those of the browser at once, then those of the service.
import { Problem } from "../../asking/api.js";
import { compare } from "../../asking/check.js";
import { createComputing } from "../../asking/computing.js";
import { previewOf } from "../../asking/preview.js";
import { isComplete, readAnswer, requestOf, sliceRequestOf, tensorsOf } from "../../asking/request.js";
import { attend } from "../../reference/attend.js";
import { indexOf } from "../../state/used_memory.js";

// `on` holds isOpen(); changed(); and failed(problem), which returns what to show in the place of the numbers, as a
// notice has it.
export function createNumbers({ catalogue, on }) {
  let question = null;
  let isAsked = false;
  let found = { status: "pending", result: null, notice: null };
  // The result of A, and the parts of B, that the question was made from.
  let [madeFrom, madeWith] = [null, null];

  const computing = createComputing({
    pending() {},
    answered(request, body, state) {
      const numbers = readAnswer(body, indexInAnswer(state));
      if (!isComplete(numbers, request)) {
        fail(on.failed(new Problem(200, {})));
        return;
      }
      const whole = { ...requestOf(state), ...tensorsOf(state) };
      const result = { numbers, found: compare(whole, numbers, attend(whole)) };
      settle({ status: "fresh", result, notice: null });
    },
    failed: (problem) => fail(on.failed(problem)),
    unreachable: (seconds) => fail({ key: "notice.away", values: { seconds } }),
  });

  const fail = (notice) => settle({ status: "stale", result: null, notice });

  // While the view is closed nothing is asked again.
  function settle(next) {
    found = next;
    if (on.isOpen()) on.changed();
    else forget();
  }

  function forget() {
    computing.cancel();
    question = null;
    madeFrom = null;
  }

  function begin(state, request, shape) {
    computing.cancel();
    isAsked = false;
    const numbers = previewOf(state, request, catalogue);
    const isKept = !numbers && found.result?.numbers.weights && shapeOf(found.result.numbers) === shape;
    const kept = isKept ? { ...found.result, isOld: true } : null;
    found = { status: "pending", result: numbers ? { numbers } : kept, notice: null };
  }

  function refresh(state, numbersOfA) {
    const request = requestOf(state);
    const next = JSON.stringify([sliceRequestOf(state).request, indexInAnswer(state)]);
    if (next !== question) begin(state, request, shapeOf(numbersOfA));
    // The service that answers for A again may do so for B.
    else if (found.status === "stale") isAsked = false;
    question = next;
  }

  return {
    // Returns {status, result, notice}: pending, fresh or stale; result is {numbers, found} or null, with isOld while its
    // numbers are those of another setting.  `a` is the result of A, and `b` the parts of B.  With `waits` the service is
    // not asked yet.
    update(state, { a, b, waits }) {
      if (!Object.keys(b).length) {
        forget();
        found = { status: a.isPreview ? "pending" : "fresh", result: a, notice: null };
        return found;
      }
      if (madeFrom !== a.numbers || madeWith !== b) refresh(state, a.numbers);
      [madeFrom, madeWith] = [a.numbers, b];
      if (!isAsked && !waits && !a.isPreview) {
        isAsked = true;
        computing.ask(sliceRequestOf(state).request, state);
      }
      return found;
    },
  };
}

const shapeOf = ({ weights, output }) => `${weights.length} ${weights[0].length} ${output?.[0]?.length ?? 0}`;

// Of a memory the answer has all slices.
const indexInAnswer = (state) => (state.memory ? indexOf(state) : sliceRequestOf(state).index);
