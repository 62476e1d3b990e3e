// The texts of the page in each language; those of a view come with it.
import { ADVANCED } from "./advanced.js";
import en from "./en.js";
import { LESSON } from "./lesson.js";
import { TABS } from "./tabs.js";
import { WALK } from "./walk.js";
import zh from "./zh.js";

const OF_PARTS = [TABS, ADVANCED, LESSON, WALK];

const withParts = (language, texts) => Object.assign({}, texts, ...OF_PARTS.map((own) => own[language]));

export const TEXTS = { zh: withParts("zh", zh), en: withParts("en", en) };
