// Keeps the fragment of the address in step with the state, and takes over a link that is put there.
import { byId } from "../page/dom.js";
import { encodeShare } from "./share.js";

const PAUSE_MILLISECONDS = 300;

// `on` holds linked(), for a fragment that this page has not written, and aside(), which returns a state that this page
// goes back to, or null: the history of the browser keeps it, and no link holds it.
export function createAddress(store, on) {
  let written = location.hash;
  let timer = null;
  let newest = 0;

  // A large state takes longer to encode than one that comes after it.
  async function write() {
    clearTimeout(timer);
    const number = (newest += 1);
    const [fragment, aside] = [await encodeShare(store.get()), on.aside()];
    const kept = aside && { aside: await encodeShare(aside) };
    if (number === newest) {
      written = fragment;
      history.replaceState(kept, "", written);
    }
    return new URL(fragment, location.href).href;
  }

  store.subscribe(() => {
    clearTimeout(timer);
    timer = setTimeout(write, PAUSE_MILLISECONDS);
  });

  addEventListener("hashchange", () => {
    if (location.hash !== written) on.linked();
  });

  // A link to a part of the page must not take the place of the state.
  for (const link of document.querySelectorAll("[data-skip]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      byId(link.dataset.skip).focus();
    });
  }

  // A link to another state than the one on the screen.
  const linkTo = async (state) => new URL(await encodeShare(state), location.href).href;

  return { write, linkTo };
}
