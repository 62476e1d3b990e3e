// On a narrow screen the explanation is a sheet at the foot of the page: folded, it holds the number in focus alone.
import { byId, setAttributes, setText } from "../page/dom.js";
import { t } from "../words/i18n.js";

let isFolded = true;

function paint() {
  setAttributes(byId("explain"), { "data-sheet": isFolded ? "folded" : "unfolded" });
  setAttributes(byId("sheet"), { "aria-expanded": String(!isFolded) });
  setText(byId("sheet"), t(isFolded ? "explain.unfold" : "explain.fold"));
}

export function foldSheet(next) {
  isFolded = next;
  paint();
}

export function createSheet() {
  byId("sheet").addEventListener("click", () => {
    foldSheet(!isFolded);
    byId("explain").scrollTop = 0;
  });
  return { paint };
}
