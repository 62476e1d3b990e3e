// The texts of the views, which come with them.
import { CHECK } from "./check.js";
import { COMPARE } from "./compare.js";
import { EXPORT } from "./export.js";
import { FLOW } from "./flow.js";
import { GRADIENTS } from "./gradients.js";
import { HEADS } from "./heads.js";
import { OVERVIEW } from "./overview.js";
import { REQUEST } from "./request.js";
import { SWEEP } from "./sweep.js";

export const VIEW_TEXTS = [COMPARE, SWEEP, FLOW, HEADS, OVERVIEW, GRADIENTS, CHECK, REQUEST, EXPORT];
