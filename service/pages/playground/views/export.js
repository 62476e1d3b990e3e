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

const titleOf = () => byId("story-title").textContent;

// "honor-of-kings-both-weights-dark.svg": the example and the stage.
function fileOf({ what, form, theme }, { view }) {
  const end = isPicture(form) ? form : TABLES[form][1];
  const tone = isPicture(form) && theme === "dark" ? ["dark"] : [];
  return `${[view.example ?? "attention", what, ...tone].join("-")}.${end}`;
}

// Spreadsheets read Chinese names where a byte order mark says that the text is UTF-8.
const blobOf = (text, form, type) =>
  new Blob([form === "csv" && /[^\u0000-\u007f]/.test(text) ? "\ufeff" : "", text], { type: `${type};charset=utf-8` });

export const exported = {
  name: "export",
  options: () => ({ what: "figure", form: "svg", theme: "light" }),
  readOptions({ what, form, theme }, expect) {
    expect(WHAT.includes(what) && FORMS.includes(form) && THEMES.includes(theme), "export");
    return { what, form, theme };
  },
  create({ root, catalogue, change }) {
    const choices = [
      ["what", WHAT],
      ["form", FORMS],
      ["theme", THEMES],
    ].map(([option, names]) => {
      const made = createOptions(`export.${option}`, names, (name) => change((options) => (options[option] = name)));
      return { option, ...made };
    });
    const download = element("button", { type: "button", class: "primary" });
    const copy = element("button", { type: "button" });
    const code = element("code", { translate: "no" });
    const text = element("pre", { class: "code", tabindex: "0", role: "region" }, code);
    const picture = element("div", { class: "picture scroller", tabindex: "0", role: "region" });
    const buttons = element("div", { class: "choices" }, download, copy);
    root.append(element("div", { class: "choices groups" }, ...choices.map((one) => one.root), buttons), picture, text);
    // What the buttons take: the options, the result, and the drawing or the text of the two.
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

    async function saveTaken() {
      const { options, shown } = taken;
      const name = fileOf(options, shown);
      const keep = (blob) => {
        save(blob, name);
        showToast(t("export.saved", { name }));
      };
      if (options.form === "png") await withPicture(keep);
      else if (options.form === "svg") keep(new Blob([textOf(taken.drawing)], { type: "image/svg+xml" }));
      else keep(blobOf(taken.text, options.form, TABLES[options.form][2]));
    }

    async function copyTaken() {
      if (taken.options.form === "svg") await copyText(textOf(taken.drawing), null);
      else if (taken.options.form !== "png") await copyText(taken.text, code);
      else await withPicture(copyPicture);
    }

    download.addEventListener("click", saveTaken);
    copy.addEventListener("click", copyTaken);

    function paint(options, shown) {
      const { what, form, theme } = options;
      const isDrawn = isPicture(form);
      picture.hidden = !isDrawn;
      text.hidden = isDrawn;
      const title = titleOf();
      const drawing = isDrawn ? drawFigure({ what, shown, catalogue, theme, title }) : null;
      const written = isDrawn ? null : TABLES[form][0](tablesOf(what, shown));
      taken = { options, shown, drawing, text: written };
      if (isDrawn) picture.replaceChildren(drawing);
      else setText(code, written);
    }

    return {
      update({ options, shown }) {
        const isWithout = options.what === "output" && !shown.numbers.output;
        const used = isWithout ? { ...options, what: "figure" } : options;
        for (const { option, root: group, update } of choices) {
          update(used[option], (name) => t(STAGES.includes(name) ? `stage.${name}` : `export.${name}`));
          group.hidden = option === "theme" && !isPicture(used.form);
        }
        choices[0].root.querySelector('[data-option="output"]').disabled = !shown.numbers.output;
        setText(download, t("export.download"));
        setText(copy, t("copy.copy"));
        for (const part of [text, picture]) setAttributes(part, { "aria-label": t("view.export") });
        // Numbers of passage are not drawn: the picture follows when they come to rest.
        if (!shown.isPreview || !taken) paint(used, shown);
      },
    };
  },
};

async function copyPicture(blob) {
  try {
    await navigator.clipboard.write([new ClipboardItem({ [blob.type]: blob })]);
    showToast(t("copy.done"));
  } catch {
    showToast(t("export.no_picture"));
  }
}
