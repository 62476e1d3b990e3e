// What the panel in the middle can show in the place of the maps of one calculation.
import { addTexts } from "../words/i18n.js";
import { VIEW_TEXTS } from "../words/views.js";
import { check } from "./check.js";
import { compare } from "./compare.js";
import { exported } from "./export.js";
import { flow } from "./flow.js";
import { gradients } from "./gradients.js";
import { heads } from "./heads.js";
import { overview } from "./overview.js";
import { request } from "./request.js";
import { sweep } from "./sweep.js";
import { table } from "./table.js";

// A view is an object with
//   name                        its name in links, and of its texts "view.NAME" and "view.NAME_title";
//   options()                   the options that it opens with, as plain JSON;
//   readOptions(given, expect, read)  the options that a link holds, checked: `expect(condition, what)` refuses the link,
//                               and `read` has scoreModel, normalizer, mask and further, which check parts of a state;
//   create(context)             returns { update({ state, options, shown }) }, which is called whenever the view is open
//                               and something has changed.
// The context has
//   root                        an empty element of the view's own;
//   catalogue, theme            those of the page;
//   change(edit)                edits the options;
//   edit(make)                  edits the state as an input does;
//   record(edit)                edits the state, with the options in its panel, so that both can be undone;
//   hold(), release()           frame a drag, one edit whatever lies between;
//   load(request, said)         replaces the inputs by those of a request, and says so;
//   focus(stage, row, column)   moves the focus;
//   chooseBatch(slice)          shows another slice of the state;
//   showMaps()                  leaves the view for the maps.
// `shown` is the result on the screen: state, request, numbers, view (the state with the names and the focus of now).
export const VIEWS = [compare, sweep, flow, heads, overview, gradients, check, request, exported, table];

addTexts(VIEW_TEXTS);
