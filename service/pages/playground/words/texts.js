// Every text in each language: those of the page, and those that a view has of its own.
import { CHECK } from "./check.js";
import en from "./en.js";
import { GRADIENTS } from "./gradients.js";
import { TABLE } from "./table.js";
import zh from "./zh.js";

const OF_VIEWS = [TABLE, CHECK, GRADIENTS];

const withViews = (language, texts) => Object.assign({}, texts, ...OF_VIEWS.map((own) => own[language]));

export const TEXTS = { zh: withViews("zh", zh), en: withViews("en", en) };
