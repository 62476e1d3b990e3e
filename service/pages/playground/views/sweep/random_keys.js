// Why scores are divided by √D: random queries and keys with ever more features, scaled and unscaled.
import { createConfirming } from "../../asking/confirming.js";
import { readAnswer } from "../../asking/request.js";
import { element, setText } from "../../page/dom.js";
import { language, t } from "../../words/i18n.js";
import { formatDifference, formatNumber } from "../../words/numbers.js";
import { listed } from "./axes.js";
import { createDraws, DRAWS, MODELS, SIZES } from "./draws.js";
import { createStack } from "./stack.js";
import { plainTable } from "./values.js";

const HEIGHTS = [200, 110];

const NUMBERS = ["largest", "sensitivity"];

// While draws are added up.
const PAINT_MILLISECONDS = 250;

// Inputs that a person can still look at.
const MAX_TAKEN_FEATURES = 64;

const TAKEN_DECIMALS = 3;

const axis = listed(SIZES);

const rounded = (matrix) => matrix.map((row) => row.map((number) => Number(number.toFixed(TAKEN_DECIMALS))));

const short = (number) => formatNumber(number, 2, { fixed: true });

export function createRandomKeys({ change, load }) {
  const help = element("p", { class: "help" });
  const says = element("p", { class: "says" });
  const progress = element("p", { class: "help" });
  const table = element("div", { class: "scroller", tabindex: "0", role: "region" });
  const take = element("button", { type: "button" });
  const stack = createStack({ heights: HEIGHTS, step, release() {} });
  const root = element("div", {}, help, stack.root, says, progress, table, take);
  const draws = createDraws();
  let at = 0;
  let drawn = "";
  let timer = null;
  let painted = 0;
  let confirmed = { question: null, largest: null };

  const confirming = createConfirming({
    answered(bodies, question) {
      const largest = bodies?.map((body) => Math.max(...readAnswer(body).weights[0]));
      confirmed = { question, largest: largest ?? null };
      if (root.isConnected) point();
    },
  });

  take.addEventListener("click", () => {
    const { query, key } = draws.first(takenSize());
    load({ query: rounded(query), key: rounded(key) });
  });

  const takenSize = () => Math.min(SIZES[at], MAX_TAKEN_FEATURES);

  function step(next) {
    if (next !== at) change((options) => Object.assign(options, { size: next }));
  }

  // A few draws at a time, as long as the view is open; what a person does comes in between.
  function work() {
    timer = null;
    if (!root.isConnected || draws.isComplete()) return;
    draws.advance();
    if (draws.isComplete() || performance.now() - painted > PAINT_MILLISECONDS) {
      paint();
      painted = performance.now();
    }
    timer = setTimeout(work);
  }

  function paint() {
    const content = `${draws.count()} ${language()}`;
    if (content !== drawn) {
      drawn = content;
      stack.draw(contentOf(draws));
    }
    point();
  }

  function point() {
    const means = draws.means();
    const size = SIZES[at];
    const values = { D: size, scaled: short(means.scaled_dot_product[at].largest), unscaled: short(means.dot_product[at].largest) };
    setText(help, t("sweep.random_help", { draws: DRAWS }));
    setText(says, draws.isComplete() ? saysOf(means) : "");
    setText(progress, draws.isComplete() ? "" : t("sweep.random_progress", { count: draws.count(), draws: DRAWS }));
    setText(take, t("sweep.random_take", { D: takenSize() }));
    stack.point({
      step: at,
      text: t("sweep.random_at", values),
      figures: NUMBERS.map((name) => ({ values: MODELS.map((model) => means[model.name][at][name]), number: "" })),
    });
    const caption = t("sweep.caption", { parameter: "D", value: size });
    table.setAttribute("aria-label", caption);
    table.replaceChildren(plainTable(caption, ["", ...MODELS.map(({ text }) => text)], linesOf(means, ask(size))));
  }

  // The first draw goes to the service as well.
  function ask(size) {
    const { query, key } = draws.first(size);
    const requests = MODELS.map(({ name }) => ({ query, key, score_model: name, include: ["weights"] }));
    const question = `${size}`;
    if (draws.isComplete()) confirming.ask(requests, question);
    return { browser: draws.firstLargest(at), service: confirmed.question === question ? confirmed.largest : null };
  }

  function linesOf(means, { browser, service }) {
    const ofMeans = ["largest", "sensitivity", "deviation"].map((name) =>
      lineOf(`sweep.random_${name}`, MODELS.map((model) => short(means[model.name][at][name]))),
    );
    const each = (write) => MODELS.map((_, index) => (service ? write(browser[index], service[index]) : "…"));
    return [
      ...ofMeans,
      lineOf("sweep.random_browser", browser.map((number) => formatNumber(number, 6))),
      lineOf("sweep.random_service", each((_, number) => formatNumber(number, 6))),
      lineOf("explain.difference", each((one, other) => formatDifference(Math.abs(one - other)))),
    ];
  }

  return {
    root,
    update({ options }) {
      at = options.size;
      paint();
      timer ??= setTimeout(work);
    },
  };
}

const lineOf = (name, texts) =>
  element("tr", {}, element("th", { scope: "row" }, t(name)), ...texts.map((text) => element("td", {}, text)));

function saysOf({ dot_product: unscaled, scaled_dot_product: scaled }) {
  const [first, last] = [unscaled.at(0), unscaled.at(-1)];
  return t("sweep.random_says", {
    low: short(first.deviation),
    high: short(last.deviation),
    from: short(first.largest),
    to: short(last.largest),
    sensitivity: short(last.sensitivity),
    scaled: short(scaled.at(-1).largest),
  });
}

function contentOf(draws) {
  const means = draws.means();
  return {
    axis,
    steps: SIZES.map((_, index) => index),
    label: t("sweep.features"),
    mark: null,
    figures: NUMBERS.map((name) => ({
      title: t(`sweep.random_${name}`),
      label: t("sweep.random_figure", { what: t(`sweep.random_${name}`) }),
      y: { low: 0, high: 1, ticks: [0, 0.5, 1].map((value) => ({ value, text: formatNumber(value, 1) })) },
      lines: MODELS.map((model, look) => ({
        name: `${model.text}  ${short(means[model.name].at(-1)[name])}`,
        look,
        values: means[model.name].map((mean) => mean[name]),
      })),
    })),
  };
}

