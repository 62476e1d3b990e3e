// A short message at the edge of the page, which goes by itself; it may offer one thing to do.
import { byId, element } from "./dom.js";
import { announce } from "./notices.js";

const SHOWN_MILLISECONDS = 2500;

const OFFERED_MILLISECONDS = 12_000;

let timer = null;

// `action` is {label, act} or null.
export function showToast(text, action = null) {
  const toast = byId("toast");
  const hide = () => {
    clearTimeout(timer);
    toast.hidden = true;
  };
  const button = action && element("button", { type: "button", class: "tool" }, action.label);
  button?.addEventListener("click", () => {
    hide();
    action.act();
  });
  toast.replaceChildren(element("span", {}, text), ...(button ? [button] : []));
  toast.hidden = false;
  announce(text);
  clearTimeout(timer);
  timer = setTimeout(hide, action ? OFFERED_MILLISECONDS : SHOWN_MILLISECONDS);
}
