// The page is shown at once instead of moving about while its parts arrive: the bar when it has its texts, the rest with
// the first result and its explanation, or with what stands in their way.  Without this script base.css shows it later.
import { byId } from "./dom.js";

export function showBar() {
  if ("arriving" in document.body.dataset) document.body.dataset.arriving = "numbers";
}

export function showWhenComplete() {
  const [results, explain, notices] = ["results", "explain", "notices"].map(byId);

  const observer = new MutationObserver(() => {
    const isComplete = results.dataset.state === "fresh" && explain.dataset.state !== "pending";
    if (!isComplete && results.dataset.state !== "stale" && !notices.childElementCount) return;
    observer.disconnect();
    delete document.body.dataset.arriving;
  });
  for (const part of [results, explain]) observer.observe(part, { attributeFilter: ["data-state"] });
  observer.observe(notices, { childList: true });
}
