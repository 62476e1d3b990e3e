// The settings in which A and B differ, in words.
import { lengthOf } from "../../asking/request.js";
import { parametersOf } from "../../inputs/parameters.js";
import { FURTHER } from "../../state/further.js";
import { has, inLanguage, t } from "../../words/i18n.js";
import { formatNumber } from "../../words/numbers.js";

const ENTRIES = { scoreModel: "scoreModels", normalizer: "normalizers" };

const joined = (parts) => parts.join(t("said.separator"));

const numbered = (name, value) => `${name} = ${formatNumber(value)}`;

// `b` holds the parts that differ.
export function settingsText(state, b, catalogue) {
  const { further, ...parts } = b;
  const texts = Object.keys(parts).map((part) =>
    part === "mask" ? maskText(state) : choiceText(state[part], catalogue[ENTRIES[part]]),
  );
  const others = Object.keys(further ?? {}).map((place) => furtherText(place, state.further[place]));
  return [...texts, ...others].filter(Boolean).join(" · ");
}

function choiceText({ name, parameters }, entries) {
  const entry = entries.find((each) => each.name === name);
  const given = parametersOf(entry)
    .filter((parameter) => parameter.rank === 0 && parameters[parameter.name] !== null)
    .map((parameter) => parameterText(parameter, parameters[parameter.name]));
  return joined([inLanguage(entry.title), ...given]);
}

function parameterText({ name, kind }, value) {
  if (kind === "text") return value;
  if (kind === "object") return JSON.stringify(value);
  return numbered(has(`parameter.${name}`) ? t(`parameter.${name}`) : name, value);
}

function maskText(state) {
  const { kind, offset, left, right, lengths } = state.mask;
  const [name, place] = [t(`mask.${kind}`), numbered(t("mask.offset"), offset ?? 0)];
  const side = (label, size) => (size === null ? `${t(label)} ${t("mask.open")}` : numbered(t(label), size));
  if (kind === "causal") return joined([name, place]);
  if (kind === "window") return joined([name, side("mask.left", left), side("mask.right", right), place]);
  if (kind === "lengths") return numbered(name, lengthOf(lengths, state));
  return kind === "none" ? t("compare.unmasked") : `${t("option.mask")} ${name}`;
}

const MAX_LETTERS = 40;

// The label of a field may explain it; here its name is enough.
const labelOf = (place) => {
  const short = `advanced.${place === "position/name" ? "position" : place}`;
  return t(has(short) ? short : `further.${place}`);
};

// Formulas speak for themselves.
function furtherText(place, value) {
  const { kind } = FURTHER.find((field) => field.place === place);
  if (kind === "text" && value !== null) return value;
  return t("compare.setting", { name: labelOf(place), value: shortened(valueText(place, kind, value)) });
}

function valueText(place, kind, value) {
  if (kind === "choice") return t(`further.${place}_${value}`);
  if (value === null) return t("compare.none");
  return typeof value === "number" ? formatNumber(value) : JSON.stringify(value);
}

const shortened = (text) => (text.length > MAX_LETTERS ? `${text.slice(0, MAX_LETTERS - 1)}…` : text);
