// The focused row against one parameter, or random keys against the number of features.
import { element, setAttributes, setText } from "../page/dom.js";
import { advancedOf } from "../state/further.js";
import { t } from "../words/i18n.js";
import { namesOf } from "../words/names.js";
import { createFocused, titleOf } from "./sweep/focused.js";
import { SIZES } from "./sweep/draws.js";
import { isKnown, PARAMETERS, rowRequestOf, sweepsOf } from "./sweep/parameters.js";
import { createRandomKeys } from "./sweep/random_keys.js";

const RANDOM = "random";

const CHOICES = [...PARAMETERS, RANDOM];

const MAX_FEATURES = 128;

export const sweep = {
  name: "sweep",
  // `features` counts those of the sweep of features, null is all; `size` is the one of random keys, by its index.
  options: () => ({ parameter: "temperature", features: null, size: SIZES.length - 1 }),
  readOptions({ parameter, features, size }, expect) {
    const isIndex = (value, least, most) => Number.isInteger(value) && value >= least && value <= most;
    expect(CHOICES.includes(parameter), "sweep");
    expect(features === null || isIndex(features, 1, MAX_FEATURES), "sweep");
    expect(isIndex(size, 0, SIZES.length - 1), "sweep");
    return { parameter, features, size };
  },
  create,
};

// The advanced fields that stand in the way, or else what the browser cannot compute.
function unknownText(request) {
  const names = advancedOf(request).map((name) => t(`advanced.${name}`));
  return names.length ? t("sweep.advanced", { names: names.join(t("said.separator")) }) : t("sweep.unknown");
}

function create({ root, catalogue, change, edit, hold, release, load, focus }) {
  const group = element("div", { class: "choices", role: "group" });
  const buttons = CHOICES.map((name) => element("button", { type: "button", "data-sweep": name }));
  const label = element("span");
  const rows = element("select");
  const rowField = element("label", { class: "row-field" }, label, rows);
  const unknown = element("p", { class: "hint" });
  const place = element("div");
  const focused = createFocused({ edit, change, hold, release });
  const randomKeys = createRandomKeys({ change, load });
  let view = null;
  group.append(...buttons);
  root.append(group, rowField, unknown, place);

  buttons.forEach((button, index) =>
    button.addEventListener("click", () => change((options) => Object.assign(options, { parameter: CHOICES[index] }))),
  );
  rows.addEventListener("change", () => focus("weights", Number(rows.value), view.focus.key));

  function paintChoices(offered, chosen) {
    setAttributes(group, { "aria-label": t("sweep.choose") });
    buttons.forEach((button, index) => {
      const name = CHOICES[index];
      setText(button, name === RANDOM ? t("sweep.random") : titleOf(name));
      button.hidden = name !== RANDOM && !offered.some((each) => each.name === name);
      setAttributes(button, { "aria-pressed": String(name === chosen) });
    });
  }

  function paintRows(count) {
    setText(label, t("sweep.row"));
    const names = namesOf(view, "query", count);
    while (rows.length > count) rows.lastChild.remove();
    while (rows.length < count) rows.append(element("option", { value: rows.length }));
    names.forEach((name, index) => setText(rows.options[index], name));
    rows.value = String(view.focus.row);
  }

  return {
    update({ options, shown }) {
      view = shown.view;
      const request = rowRequestOf(view, shown, view.focus.row);
      const offered = isKnown(request, shown.request) ? sweepsOf(view, shown, request, catalogue, options.features) : [];
      const found = offered.find(({ name }) => name === options.parameter) ?? offered[0];
      const isRandom = options.parameter === RANDOM;
      const count = shown.numbers.weights.length;
      paintChoices(offered, isRandom ? RANDOM : found?.name);
      rowField.hidden = isRandom || count < 2 || !found;
      if (!rowField.hidden) paintRows(count);
      unknown.hidden = isRandom || Boolean(found);
      setText(unknown, unknownText(shown.request));
      place.hidden = !unknown.hidden;
      if (place.hidden) return;
      const scene = isRandom ? randomKeys : focused;
      if (place.firstChild !== scene.root) place.replaceChildren(scene.root);
      scene.update({ options, view, shown, request, sweep: found });
    },
  };
}
