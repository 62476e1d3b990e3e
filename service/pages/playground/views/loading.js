// The views are a script of their own, which is loaded when the first of them is opened.
import { Unreachable } from "../asking/api.js";

// In the order of their tabs; each is the name of a view in links.
export const VIEW_NAMES = [
  ...["compare", "sweep", "flow", "heads", "overview"],
  ...["gradients", "check", "request", "export", "table"],
];

let views = null;

// Throws Unreachable.
export async function loadViews() {
  if (views) return;
  try {
    const { VIEWS } = await import("./list.js");
    views = new Map(VIEWS.map((view) => [view.name, view]));
  } catch (error) {
    throw new Unreachable("the views did not arrive", { cause: error });
  }
}

// Undefined before they are loaded, and for a name that no view has.
export const viewOf = (name) => views?.get(name);
