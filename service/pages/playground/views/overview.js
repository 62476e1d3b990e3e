// Matrices of up to 4096 × 4096: an overview on a canvas, and a window at full resolution that moves over it.
import { checkRows } from "../asking/large.js";
import { Problem } from "../asking/api.js";
import { element, setText } from "../page/dom.js";
import { has, t } from "../words/i18n.js";
import { formatDifference } from "../words/numbers.js";
import { createFields, readFields, usualFields } from "./overview/fields.js";
import { createJob } from "./overview/job.js";
import { createOverviewMap } from "./overview/map.js";
import { generated } from "./overview/source.js";

const PAUSE_MILLISECONDS = 250;

export const overview = {
  name: "overview",
  options: usualFields,
  readOptions: readFields,
  create({ root, theme, change }) {
    const said = element("p", { class: "overview-said", role: "status" });
    const error = createError();
    let file = null;
    let asked = "";
    let timer = null;
    let saying = { key: "overview.computing", values: {} };

    function say(key, values = {}) {
      saying = { key, values };
      setText(said, key ? t(key, values) : "");
    }

    const fields = createFields({
      change,
      dropped(name, problem) {
        file = { name, problem, number: (file?.number ?? 0) + 1 };
        change((draft) => Object.assign(draft, { source: "file", file: name, row: 0, column: 0 }));
      },
    });
    const map = createOverviewMap({
      theme,
      // The place goes into the link when it comes to rest.
      moved({ row, column, size }) {
        clearTimeout(timer);
        timer = setTimeout(() => change((draft) => Object.assign(draft, { row, column, size })), PAUSE_MILLISECONDS);
      },
    });
    const job = createJob({
      arrived: (share) => say("overview.arrived", { share: Math.round(100 * share) }),
      refused(problem) {
        say(null);
        error.show(problem);
      },
      async done(matrix, isStale) {
        if (!(await map.show(matrix)) || isStale()) return;
        const milliseconds = Math.round(performance.now() - matrix.since);
        root.dataset.drawnMilliseconds = milliseconds;
        const { rows: checked, difference } = checkRows(matrix.problem, matrix.stage, matrix.values);
        const { rows, columns } = matrix;
        say("overview.drawn", { rows, columns, milliseconds, checked, difference: formatDifference(difference) });
      },
    });
    root.append(fields.root, said, error.root, map.root);

    // The page shows that it computes before the numbers are drawn, which takes a moment.
    function compute(options) {
      error.show(null);
      job.cancel();
      if (options.source === "file" && file?.name !== options.file) {
        say("overview.drop_again", { name: options.file });
        return;
      }
      say("overview.computing");
      const question = asked;
      setTimeout(() => {
        if (question !== asked) return;
        const source = options.source === "file" ? file.problem : generated(options);
        job.start({ ...source, mask: { kind: options.mask, left: options.left } }, options.stage);
      });
    }

    return {
      update({ options }) {
        fields.update(options);
        map.update(options);
        say(saying.key, saying.values);
        const question = questionOf(options, file);
        if (question === asked) return;
        asked = question;
        compute(options);
      },
    };
  },
};

// What the numbers depend on.
function questionOf({ source, file: name, seed, queries, keys, features, sharp, mask, left, stage }, file) {
  const numbers = source === "file" ? [name, file?.number] : [seed, queries, keys, features, sharp];
  return JSON.stringify([source, ...numbers, mask, left, stage]);
}

function createError() {
  const [text, detail] = [element("span"), element("small", { lang: "en" })];
  const root = element("p", { class: "field-error", role: "alert", hidden: true }, text, detail);
  return {
    root,
    show(problem) {
      root.hidden = !problem;
      setText(text, problem ? t(problem instanceof Problem ? wordsFor(problem) : "overview.away") : "");
      setText(detail, problem?.detail ?? "");
    },
  };
}

// A refusal of the size says what to make smaller; any other is one of the page.
const wordsFor = ({ slug }) =>
  ["too-large", "deadline-exceeded"].includes(slug) || !has(`problem.${slug}`) ? "overview.refused" : `problem.${slug}`;
