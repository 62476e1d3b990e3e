// Every text in each language: those of the page, and those that a view or a part has of its own.
import { ADVANCED } from "./advanced.js";
import en from "./en.js";
import { HEADS } from "./heads.js";
import { OVERVIEW } from "./overview.js";
import { TABLE } from "./table.js";
import zh from "./zh.js";

const OF_VIEWS = [ADVANCED, HEADS, OVERVIEW, TABLE];

const withViews = (language, texts) => Object.assign({}, texts, ...OF_VIEWS.map((own) => own[language]));

export const TEXTS = { zh: withViews("zh", zh), en: withViews("en", en) };
