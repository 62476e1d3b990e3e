// The settings of a calculation in words, for the caption of a figure.
import { pastOf } from "../asking/request.js";
import { advancedOf } from "../state/further.js";
import { batchesOf } from "../state/store.js";
import { inLanguage, t } from "../words/i18n.js";
import { nameOfSlice, shortNameOfSlice } from "../words/slices.js";

const isScalar = (value) => typeof value !== "object" || value === null;

const sizesOf = (nested) => (Array.isArray(nested) ? [nested.length, ...sizesOf(nested[0])] : []);

// Numbers and texts as they are; of a tensor its sizes, where it is larger than a short line.
function written(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return isScalar(value) || text.length <= 60 ? text : sizesOf(value).join(" × ") || `${text.slice(0, 60)}…`;
}

const listed = (members) =>
  Object.entries(members)
    .filter(([name, value]) => name !== "name" && value !== null)
    .map(([name, value]) => `${name} = ${written(value)}`);

const chosen = (key, entries, given, used) => {
  const { name } = given;
  const entry = entries.find((one) => one.name === name);
  const resolved = Object.fromEntries(
    Object.entries(used ?? {}).filter(
      ([parameter, value]) => parameter in entry.parameters.properties && isScalar(value),
    ),
  );
  return t("figure.setting", {
    name: t(key),
    value: [inLanguage(entry.title), ...listed({ ...given, ...resolved })].join(t("figure.comma")),
  });
};

function maskLine({ mask }, view) {
  const { allowed: _, ...fields } = mask ?? {};
  const value = [t(`mask.${view.mask.kind}`), ...listed(fields)].join(t("figure.comma"));
  return t("figure.setting", { name: t("option.mask"), value });
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

// The advanced fields of the slice as [label, text], and which slice it is where there are several.
function advancedLines(request, view) {
  const texts = {
    softcap: written,
    bias: written,
    position: ({ name, ...members }) => [t(`further.position/name_${name}`), ...listed(members)].join(t("figure.comma")),
    dtype: written,
  };
  const past = pastOf(view);
  const count = batchesOf(view);
  const slice = view.heads ? shortNameOfSlice(view, view.batch) : nameOfSlice(view, view.batch);
  return [
    ...advancedOf(request).map((name) => [t(`advanced.${name}`), texts[name](request[name])]),
    ...(past ? [[t("advanced.past_key"), written(past)]] : []),
    ...(count > 1 ? [[t("figure.slice"), slice]] : []),
  ];
}

// Returns lines; `shown` is the result on the screen.
export function captionOf({ request, numbers, view }, catalogue) {
  const { score_modifier: modifier, positions } = request;
  const further = [
    ...(modifier ? [["figure.modifier", modifier]] : []),
    ...(positions ? [["figure.positions", positions]] : []),
    ...(view.memory
      ? [["memory.title", { name: null, memory: view.memory.name, version: view.memory.about.version }]]
      : []),
  ];
  return [
    chosen("option.score_model", catalogue.scoreModels, request.score_model, numbers.used),
    chosen("option.normalizer", catalogue.normalizers, request.normalizer, numbers.used),
    maskLine(request, view),
    ...further.map(([key, members]) =>
      t("figure.setting", { name: t(key), value: listed(members).join(t("figure.comma")) }),
    ),
    ...advancedLines(request, view).map(([name, value]) => t("figure.setting", { name: capital(name), value })),
  ];
}
