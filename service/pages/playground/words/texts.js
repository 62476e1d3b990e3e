// Every text in each language: those of the page, and those that a view or another part of it has of its own.
import en from "./en.js";
import { LESSON } from "./lesson.js";
import { TABLE } from "./table.js";
import { WALK } from "./walk.js";
import zh from "./zh.js";

const OF_VIEWS = [TABLE, LESSON, WALK];

const withViews = (language, texts) => Object.assign({}, texts, ...OF_VIEWS.map((own) => own[language]));

export const TEXTS = { zh: withViews("zh", zh), en: withViews("en", en) };
