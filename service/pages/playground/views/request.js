// The request of this page in several languages, each of which runs as it is copied.
import { hasKey } from "../asking/api.js";
import { answerIndexOf, isAskedWhole, tensorsOf, wholeRequestOf } from "../asking/request.js";
import { copyText, createOptions } from "../page/copying.js";
import { element, setText } from "../page/dom.js";
import { FORMS } from "../snippets/list.js";
import { batchesOf } from "../state/store.js";
import { scoreIndexOf } from "../state/used_memory.js";
import { t } from "../words/i18n.js";
import { shortNameOfSlice } from "../words/slices.js";

const NAMES = Object.keys(FORMS);

// Forms that ask the service.
const ASKING = ["curl", "client", "javascript", "json"];

// What the generators are asked about; the address is that of this service, behind whatever prefix.  A slice that has its
// numbers only among all slices is asked for with them.
const askedBy = (form, { request, numbers, state }) => ({
  request: ASKING.includes(form) && isAskedWhole(state) ? wholeRequestOf(state) : request,
  numbers,
  tensors: tensorsOf(state),
  index: state.memory ? scoreIndexOf(state) : answerIndexOf(state),
  memory: state.memory ? { name: state.memory.name, version: state.memory.about.version } : null,
  url: new URL(".", document.baseURI).href.replace(/\/$/, ""),
  hasKey: hasKey(),
});

function hintsOf(form, state, isRefused) {
  const count = batchesOf(state);
  const isOne = count > 1 && !state.memory && !(ASKING.includes(form) && isAskedWhole(state));
  return [
    ...(isRefused ? [] : [t(`request.run_${form}`)]),
    ...(hasKey() && ["curl", "client", "javascript"].includes(form) ? [t("request.key")] : []),
    ...(isOne ? [t("request.slice", { name: shortNameOfSlice(state, state.batch), count })] : []),
  ].join(" ");
}

export const request = {
  name: "request",
  options: () => ({ form: NAMES[0] }),
  readOptions({ form }, expect) {
    expect(NAMES.includes(form), "form");
    return { form };
  },
  create({ root, change }) {
    const forms = createOptions("request.forms", NAMES, (name) => change((options) => (options.form = name)));
    const hint = element("p", { class: "hint" });
    const code = element("code", { translate: "no" });
    const copy = element("button", { type: "button", class: "primary" });
    const text = element("pre", { class: "code", tabindex: "0", role: "region" }, code);
    copy.addEventListener("click", () => copyText(code.textContent, () => code));
    root.append(forms.root, element("div", { class: "bar-of-view" }, hint, copy), text);
    return {
      update({ state, options: { form }, shown }) {
        forms.update(form, (name) => t(`request.${name}`));
        setText(copy, t("copy.copy"));
        text.setAttribute("aria-label", t(`request.${form}`));
        // Numbers of passage are not written out: the text follows when they come to rest.
        if (shown.isPreview && code.textContent) return;
        const { code: written, refusal } = FORMS[form](askedBy(form, shown));
        setText(hint, hintsOf(form, shown.state, Boolean(refusal)));
        setText(code, written ?? refusal);
        copy.disabled = !written;
        text.classList.toggle("refused", !written);
      },
    };
  },
};
