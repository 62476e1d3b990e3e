// What the panel in the middle can show in the place of the maps of one calculation.
import { exported } from "./export.js";
import { request } from "./request.js";
import { table } from "./table.js";

// A view is an object with
//   name                        its name in links, and of its texts "view.NAME" and "view.NAME_title";
//   options()                   the options that it opens with, as plain JSON;
//   readOptions(given, expect)  the options that a link holds, checked: `expect(condition, what)` refuses the link;
//   create(context)             returns { update({ state, options, shown }) }, which is called whenever the view is open
//                               and something has changed.
// The context has root, an empty element of the view's own; catalogue and theme; change(edit), which edits the options;
// load(request), which replaces the inputs by those of a request; focus(stage, row, column).  `shown` is the result on
// the screen: state, request, numbers, view (the state with the names and the focus of now).
export const VIEWS = [request, exported, table];

export const viewOf = (name) => VIEWS.find((view) => view.name === name);
