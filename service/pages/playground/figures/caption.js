// The settings of a calculation in words, for the caption of a figure.
import { inLanguage, t } from "../words/i18n.js";

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
  ];
}
