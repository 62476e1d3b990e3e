// One computation of a large matrix at a time: the newest is the one that counts.
import { computeLarge } from "../../asking/large.js";
import { Problem, Unreachable } from "../../asking/api.js";
import { marginalsOf } from "../../maps/overview_picture.js";

// `on` holds arrived(share of the numbers), refused(problem) and done(found, isStale), which draws.
export function createJob(on) {
  let newest = 0;
  let controller = null;

  async function ask(found, isStale) {
    const { problem, stage, columns, rows } = found;
    await computeLarge(problem, stage, controller.signal, async (first, { values, entropy }) => {
      found.values.set(values, first * columns);
      if (entropy) (found.entropy ??= new Float32Array(rows)).set(entropy, first);
      if (!isStale()) on.arrived((first * columns + values.length) / found.values.length);
    });
  }

  return {
    cancel() {
      newest += 1;
      controller?.abort();
    },
    async start(problem, stage) {
      this.cancel();
      const number = newest;
      const isStale = () => number !== newest;
      controller = new AbortController();
      const { queries: rows, keys: columns } = problem;
      const found = { problem, stage, rows, columns, values: new Float32Array(rows * columns), entropy: null };
      try {
        await ask(found, isStale);
      } catch (error) {
        if (error.name === "AbortError" || isStale()) return;
        if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
        on.refused(error);
        return;
      }
      const since = performance.now();
      const margins = await marginalsOf(found, isStale);
      if (margins) await on.done({ ...found, ...margins, since }, isStale);
    },
  };
}
