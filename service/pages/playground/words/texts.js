// Every text in each language: those of the page, and those that a view or another part of it has of its own.
import { ADVANCED } from "./advanced.js";
import { CHECK } from "./check.js";
import { COMPARE } from "./compare.js";
import en from "./en.js";
import { EXPORT } from "./export.js";
import { FLOW } from "./flow.js";
import { GRADIENTS } from "./gradients.js";
import { HEADS } from "./heads.js";
import { LESSON } from "./lesson.js";
import { OVERVIEW } from "./overview.js";
import { REQUEST } from "./request.js";
import { SWEEP } from "./sweep.js";
import { TABLE } from "./table.js";
import { WALK } from "./walk.js";
import zh from "./zh.js";

const OF_PARTS = [
  ...[COMPARE, SWEEP, FLOW, HEADS, OVERVIEW, GRADIENTS, CHECK, REQUEST, EXPORT, TABLE],
  ...[ADVANCED, LESSON, WALK],
];

const withParts = (language, texts) => Object.assign({}, texts, ...OF_PARTS.map((own) => own[language]));

export const TEXTS = { zh: withParts("zh", zh), en: withParts("en", en) };
