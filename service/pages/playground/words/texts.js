// Every text in each language: those of the page, and those that a view has of its own.
import en from "./en.js";
import { EXPORT } from "./export.js";
import { REQUEST } from "./request.js";
import { TABLE } from "./table.js";
import zh from "./zh.js";

const OF_VIEWS = [REQUEST, EXPORT, TABLE];

const withViews = (language, texts) => Object.assign({}, texts, ...OF_VIEWS.map((own) => own[language]));

export const TEXTS = { zh: withViews("zh", zh), en: withViews("en", en) };
