// Pictures and tables of the result, to download or to copy.
import { drawFigure } from "../figures/figure.js";
import { pngOf } from "../figures/picture.js";
import { textOf } from "../figures/svg.js";
import { csv, latex, markdown, tablesOf } from "../figures/tables.js";
import { STAGES } from "../maps/pipeline.js";
import { copyText, createOptions, save } from "../page/copying.js";
import { byId, element, setAttributes, setText } from "../page/dom.js";
import { showToast } from "../page/toast.js";
import { t } from "../words/i18n.js";

const WHAT = ["figure", ...STAGES];

const THEMES = ["light", "dark"];

// Tables by name: how they are written, the end of the file's name, its media type.
const TABLES = {
  csv: [csv, "csv", "text/csv"],
  markdown: [markdown, "md", "text/markdown"],
  latex: [latex, "tex", "application/x-tex"],
};

const FORMS = ["svg", "png", ...Object.keys(TABLES)];

const isPicture = (form) => !(form in TABLES);

// The title of the example, and whether its numbers have been changed, are what the story above says.
function titleOf({ view }) {
  if (!view.example) return t("title.page");
  const title = byId("story-title").textContent;
  return byId("story").querySelector(".story-note").hidden ? title : t("figure.edited", { title });
}

// "honor-of-kings-both-weights-dark.svg": the example and the stage.
function fileOf({ what, form, theme }, { view }) {
  const end = isPicture(form) ? form : TABLES[form][1];
  const tone = isPicture(form) && theme === "dark" ? ["dark"] : [];
  return `${[view.example ?? "attention", what, ...tone].join("-")}.${end}`;
}

// Spreadsheets read Chinese names where a byte order mark says that the text is UTF-8.
function blobOf(text, form) {
  const mark = form === "csv" && /[^\u0000-\u007f]/.test(text) ? "\ufeff" : "";
  return new Blob([mark, text], { type: `${TABLES[form][2]};charset=utf-8` });
}

export const exported = {
  name: "export",
  options: () => ({ what: "figure", form: "svg", theme: "light" }),
  readOptions({ what, form, theme }, expect) {
    expect(WHAT.includes(what) && FORMS.includes(form) && THEMES.includes(theme), "export");
    return { what, form, theme };
  },
  create({ root, catalogue, change }) {
    const parts = build(root, change);
    const taking = createTaking(parts);
    let isPainted = false;

    function paint(options, shown) {
      const { what, form, theme } = options;
      const isDrawn = isPicture(form);
      parts.picture.hidden = !isDrawn;
      parts.text.hidden = isDrawn;
      const drawing = isDrawn ? drawFigure({ what, shown, catalogue, theme, title: titleOf(shown) }) : null;
      const text = isDrawn ? null : TABLES[form][0](tablesOf(what, shown));
      if (isDrawn) parts.picture.replaceChildren(drawing);
      else setText(parts.code, text);
      taking.set({ name: fileOf(options, shown), form, drawing, text });
      isPainted = true;
    }

    return {
      update({ options, shown }) {
        const isWithout = options.what === "output" && !shown.numbers.output;
        const used = isWithout ? { ...options, what: "figure" } : options;
        nameParts(parts, used, Boolean(shown.numbers.output));
        // Numbers of passage are not drawn: the picture follows when they come to rest.
        if (!shown.isPreview || !isPainted) paint(used, shown);
      },
    };
  },
};

function build(root, change) {
  const choices = Object.entries({ what: WHAT, form: FORMS, theme: THEMES }).map(([option, names]) => {
    const made = createOptions(`export.${option}`, names, (name) => change((options) => (options[option] = name)));
    return { option, ...made };
  });
  const download = element("button", { type: "button", class: "primary" });
  const copy = element("button", { type: "button", "data-action": "copy" });
  const code = element("code", { translate: "no" });
  const text = element("pre", { class: "code", tabindex: "0", role: "region" }, code);
  const picture = element("div", { class: "picture scroller", tabindex: "0", role: "region" });
  const buttons = element("div", { class: "choices" }, download, copy);
  root.append(element("div", { class: "choices groups" }, ...choices.map((one) => one.root), buttons), picture, text);
  return { choices, download, copy, code, text, picture };
}

function nameParts({ choices, download, copy, text, picture }, options, hasOutput) {
  for (const { option, root, update } of choices) {
    update(options[option], (name) => t(STAGES.includes(name) ? `stage.${name}` : `export.${name}`));
    root.hidden = option === "theme" && !isPicture(options.form);
    const output = root.querySelector('[data-option="output"]');
    if (output) output.disabled = !hasOutput;
  }
  setText(download, t("export.download"));
  setText(copy, t("copy.copy"));
  for (const part of [text, picture]) setAttributes(part, { "aria-label": t("view.export") });
}

// What the buttons take: {name, form, drawing, text}, of which drawing or text is null.
function createTaking({ download, copy, code, text }) {
  let taken = null;
  let isBusy = false;

  async function withPicture(use) {
    if (isBusy) return;
    isBusy = true;
    const blob = await pngOf(taken.drawing).catch(() => null);
    isBusy = false;
    if (blob) await use(blob);
    else showToast(t("export.too_large"));
  }

  download.addEventListener("click", () => {
    const { name, form, drawing } = taken;
    const keep = (blob) => {
      save(blob, name);
      showToast(t("export.saved", { name }));
    };
    if (form === "png") return withPicture(keep);
    return keep(drawing ? new Blob([textOf(drawing)], { type: "image/svg+xml" }) : blobOf(taken.text, form));
  });
  copy.addEventListener("click", () => {
    if (taken.form === "png") return withPicture(copyPicture);
    const written = taken.text ?? textOf(taken.drawing);
    return copyText(written, () => {
      setText(code, written);
      text.hidden = false;
      return code;
    });
  });

  return {
    set(next) {
      taken = next;
    },
  };
}

async function copyPicture(blob) {
  try {
    await navigator.clipboard.write([new ClipboardItem({ [blob.type]: blob })]);
    showToast(t("copy.done"));
  } catch {
    showToast(t("export.no_picture"));
  }
}
