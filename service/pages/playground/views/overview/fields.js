// The fields of the view of large matrices, and what a link may say in them.
import { MAX_SIZE, readTensors } from "./source.js";
import { FileProblem } from "../../files/problem.js";
import { element, setAttributes, setText } from "../../page/dom.js";
import { t } from "../../words/i18n.js";
import { parseNumber } from "../../words/numbers.js";
import { ENDINGS, takeDrops } from "../files.js";
import { createSelect } from "../select.js";

export const WINDOWS = [8, 16, 32, 64, 128];

// Whole numbers and their bounds.
const COUNTS = {
  queries: [1, MAX_SIZE],
  keys: [1, MAX_SIZE],
  features: [1, 256],
  seed: [0, 999999],
  left: [0, MAX_SIZE],
};

const CHOICES = {
  mask: ["none", "causal", "window"],
  stage: ["weights", "scores"],
  how: ["max", "mean"],
  scale: ["linear", "log", "row"],
};

const MAX_NAME = 100;

const SHARPNESS = [0.01, 100];

const isSharp = (value) => Number.isFinite(value) && value >= SHARPNESS[0] && value <= SHARPNESS[1];

const isWhole = (value, [least, most]) => Number.isInteger(value) && value >= least && value <= most;

export const usualFields = () => ({
  ...{ source: "random", file: "", seed: 1, queries: 1024, keys: 1024, features: 64, sharp: 2 },
  ...{ mask: "causal", left: 256, stage: "weights", how: "max", scale: "log", row: 0, column: 0, size: 32 },
});

export function readFields(given, expect) {
  const { source, file, sharp, row, column, size } = given;
  expect(Object.entries(COUNTS).every(([name, bounds]) => isWhole(given[name], bounds)), "sizes");
  expect(Object.entries(CHOICES).every(([name, all]) => all.includes(given[name])), "choices");
  expect(["random", "file"].includes(source) && typeof file === "string" && file.length <= MAX_NAME, "source");
  expect(isSharp(sharp), "sharp");
  expect([row, column].every((at) => isWhole(at, [0, MAX_SIZE - 1])) && WINDOWS.includes(size), "window");
  return Object.fromEntries(Object.keys(usualFields()).map((name) => [name, given[name]]));
}

// `dropped` is called with the name and the numbers of a file.
export function createFields({ change, dropped }) {
  const set = (name, value) => change((options) => (options[name] = value));
  const counts = Object.entries(COUNTS).map(([name, bounds]) =>
    createNumber(name, bounds, (value) => isWhole(value, bounds), (value) => set(name, value)),
  );
  const sharp = createNumber("sharp", SHARPNESS, isSharp, (value) => set("sharp", value));
  const choices = Object.entries(CHOICES).map(([name, all]) => {
    const { root, update } = createSelect("overview", name, all, (value) => set(name, value));
    return { root, update: (options) => update(options[name]) };
  });
  const file = createFile({ dropped, random: () => set("source", "random") });
  const all = [...counts, sharp, ...choices, file];
  const root = element("div", { class: "overview-fields" }, ...all.map(({ root: part }) => part));
  return { root, update: (options) => all.forEach((field) => field.update(options)) };
}

// Numbers count when they are complete: a size of 4 on the way to 4096 is none.
function createNumber(name, [least, most], accepts, set) {
  const label = element("span");
  const input = element("input", { type: "text", inputmode: "decimal", autocomplete: "off", "data-option": name });
  const problem = element("small", { class: "overview-problem", role: "alert" });
  const root = element("div", {}, element("label", {}, label, input), problem);
  input.addEventListener("change", () => {
    const value = parseNumber(input.value);
    const isRight = value !== null && accepts(value);
    setAttributes(input, { "aria-invalid": isRight ? null : "true" });
    setText(problem, isRight ? "" : t("overview.wrong", { text: input.value, least, most }));
    if (isRight) set(value);
  });
  return {
    root,
    update(options) {
      setText(label, t(`overview.${name}`));
      root.hidden = name === "left" ? options.mask !== "window" : name !== "left" && options.source === "file";
      if (document.activeElement !== input && !input.hasAttribute("aria-invalid")) input.value = String(options[name]);
    },
  };
}

function createFile({ dropped, random }) {
  const label = element("span");
  const input = element("input", { type: "file", accept: ENDINGS, multiple: true, class: "unseen" });
  const back = element("button", { type: "button", class: "tool" });
  const hint = element("small", { class: "hint" });
  const problem = element("small", { class: "overview-problem", role: "alert" });
  const button = element("label", { class: "button" }, label, input);
  const root = element("div", { class: "overview-file drop" }, button, back, hint, problem);
  let failure = null;

  function say(error) {
    failure = error;
    setText(problem, failure ? t(failure.key, failure.values) : "");
  }

  async function take(files) {
    if (!files.length) return;
    try {
      const numbers = await readTensors(files);
      say(null);
      dropped(files.map(({ name }) => name).join(", ").slice(0, MAX_NAME), numbers);
    } catch (error) {
      if (!(error instanceof FileProblem)) throw error;
      say(error);
    }
  }

  // The same file can be chosen again.
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });
  back.addEventListener("click", random);
  takeDrops(root, root, take);
  return {
    root,
    update({ source }) {
      setText(label, t("overview.file"));
      setText(hint, t("overview.file_names"));
      say(failure);
      setText(back, t("overview.random"));
      back.hidden = source !== "file";
    },
  };
}
