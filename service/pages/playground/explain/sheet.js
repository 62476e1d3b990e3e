// On a narrow screen the explanation is a sheet at the foot of the page: folded, it holds the number in focus alone.
import { byId, setAttributes, setText } from "../page/dom.js";
import { t } from "../words/i18n.js";

export function createSheet() {
  const explain = byId("explain");
  const button = byId("sheet");
  let isFolded = true;

  function paint() {
    setAttributes(explain, { "data-sheet": isFolded ? "folded" : "unfolded" });
    setAttributes(button, { "aria-expanded": String(!isFolded) });
    setText(button, t(isFolded ? "explain.unfold" : "explain.fold"));
  }

  button.addEventListener("click", () => {
    isFolded = !isFolded;
    paint();
    explain.scrollTop = 0;
  });

  return { paint };
}
