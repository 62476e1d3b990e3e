// Where a file is dropped, chosen or pasted, and the cases to begin with.
import { FileProblem } from "../../files/problem.js";
import { readFile } from "../../files/read.js";
import { readPasted } from "../../files/text.js";
import { element, setAttributes, setText } from "../../page/dom.js";
import { announce } from "../../page/notices.js";
import { t } from "../../words/i18n.js";
import { ENDINGS, takeDrops } from "../files.js";
import { CASES } from "./cases.js";

// `on` holds take(arrays of a file, its name), download() and load(request of a case).
export function createPanel(on) {
  const texts = [];
  // An element whose text, or whose attribute `name`, follows the language.
  const say = (made, key, name = null) => {
    texts.push([made, key, name]);
    return made;
  };
  const input = element("input", { type: "file", accept: ENDINGS, hidden: true });
  const button = say(element("button", { type: "button", class: "tool", "data-action": "choose" }), "kernel.choose");
  const save = say(
    say(element("button", { type: "button", class: "tool", "data-action": "download" }), "kernel.download"),
    "kernel.download_title",
    "title",
  );
  const zone = element(
    "div",
    { class: "drop" },
    say(element("p"), "kernel.drop"),
    element("p", { class: "choices" }, button, input, save),
    say(element("p", { class: "hint" }), "kernel.names"),
  );
  const problem = element("p", { class: "field-error", hidden: true });
  const area = say(
    element("textarea", { class: "matrix-text", rows: 4, spellcheck: "false" }),
    "kernel.pasted",
    "aria-label",
  );
  const read = say(element("button", { type: "button", class: "tool", "data-action": "read" }), "kernel.read");
  const paste = element("details", { class: "paste" }, say(element("summary"), "kernel.paste"), area, read);
  const cases = casesList(say, (name) => on.load(name, CASES[name]()));
  const root = element("div", { class: "intake" }, zone, problem, paste, cases);
  let failure = null;

  function fail(error) {
    if (!(error instanceof FileProblem)) throw error;
    failure = error;
    paint();
    announce(problem.textContent);
  }

  async function take(reading, name) {
    failure = null;
    paint();
    try {
      on.take(await reading(), name);
    } catch (error) {
      fail(error);
    }
  }

  function takeFiles(files) {
    if (files.length > 1) fail(new FileProblem("file.several", { received: files.length }));
    else if (files.length) take(() => readFile(files[0]), files[0].name);
  }

  input.addEventListener("change", () => {
    takeFiles([...input.files]);
    input.value = "";
  });
  button.addEventListener("click", () => input.click());
  save.addEventListener("click", on.download);
  read.addEventListener("click", () =>
    take(async () => readPasted(t("kernel.pasted_name"), area.value), t("kernel.pasted_name")),
  );
  takeDrops(root, zone, takeFiles);

  function paint() {
    for (const [made, key, name] of texts) {
      if (name) setAttributes(made, { [name]: t(key) });
      else setText(made, t(key));
    }
    problem.hidden = !failure;
    setText(problem, failure ? t(failure.key, failure.values) : "");
  }

  return { root, paint };
}

function casesList(say, load) {
  const items = Object.keys(CASES).map((name) => {
    const button = say(element("button", { type: "button", class: "tool", "data-case": name }), `kernel.case_${name}`);
    button.addEventListener("click", () => load(name));
    return element("li", {}, button, say(element("small"), `kernel.case_${name}_finds`));
  });
  const summary = say(element("summary"), "kernel.cases");
  return element(
    "details",
    { class: "cases" },
    summary,
    say(element("p", { class: "hint" }), "kernel.cases_help"),
    element("ul", {}, ...items),
  );
}
