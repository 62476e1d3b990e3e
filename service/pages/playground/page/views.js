// The tabs above the maps, and the view that one of them opens.
import { Unreachable } from "../asking/api.js";
import { VIEW_NAMES, loadViews, viewOf } from "../views/loading.js";
import { t } from "../words/i18n.js";
import { byId, element, setAttributes, setText } from "./dom.js";
import { showToast } from "./toast.js";

const MAPS = "maps";

// Where a key leads from tab `at` of `count`.
const KEYS = {
  ArrowRight: (at, count) => (at + 1) % count,
  ArrowLeft: (at, count) => (at + count - 1) % count,
  Home: () => 0,
  End: (_, count) => count - 1,
};

// `load` takes a request, `focus` a stage, row and column, `record` an edit of the state that can be undone, `chooseBatch`
// the number of a slice.
export function createViews({ store, catalogue, theme, load, focus, record, chooseBatch }) {
  const names = [MAPS, ...VIEW_NAMES];
  const tabs = names.map((name) => element("button", { type: "button", role: "tab", id: `tab-${name}` }));
  const list = byId("views");
  const place = byId("view-other");
  const made = new Map();
  // The options that each view was left with.
  const left = new Map();
  let newest = 0;
  list.append(...tabs);
  tabs.forEach((tab, index) => tab.addEventListener("click", () => open(names[index])));
  list.addEventListener("keydown", (event) => {
    if (!Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    // The view of the tab may still be on its way.
    const next = KEYS[event.key](tabs.indexOf(event.target), names.length);
    open(names[next]);
    tabs[next].focus();
  });

  // The tab that was chosen last is the one that opens, however long the views take to arrive.
  async function open(name) {
    const number = (newest += 1);
    if (name !== MAPS && !(await areLoaded())) return;
    const { panel } = store.get();
    if (number !== newest || name === openName(store.get())) return;
    if (panel) left.set(panel.name, panel.options);
    store.change((draft) => {
      draft.panel = name === MAPS ? null : { name, options: left.get(name) ?? viewOf(name).options() };
    });
  }

  async function areLoaded() {
    try {
      await loadViews();
      return true;
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      showToast(t("view.unreachable"));
      return false;
    }
  }

  // What comes late, as a file that was read, edits no other view that was opened meanwhile.
  const changeOf = (name) => (edit) => {
    if (openName(store.get()) === name) store.change((draft) => edit(draft.panel.options));
  };

  function showMaps() {
    open(MAPS);
    tabs[0].focus();
  }

  function create(name) {
    const root = element("div", { class: `view-${name}` });
    const { change: edit, hold, release } = store;
    const edits = { change: changeOf(name), edit, record, hold, release };
    const view = viewOf(name).create({ root, catalogue, theme, ...edits, load, focus, chooseBatch, showMaps });
    return { root, ...view };
  }

  return {
    // `shown` is null before the first result, and its maps are null while keys are ranked.
    update(state, shown) {
      const opened = openName(state);
      const panel = opened === MAPS ? byId("view-maps") : place;
      names.forEach((name, index) => {
        const isOpen = name === opened;
        setText(tabs[index], t(`view.${name}`));
        setAttributes(tabs[index], {
          title: t(`view.${name}_title`),
          "aria-selected": String(isOpen),
          "aria-controls": isOpen ? panel.id : null,
          tabindex: isOpen ? "0" : "-1",
        });
      });
      byId("view-maps").hidden = opened !== MAPS;
      place.hidden = opened === MAPS;
      if (opened === MAPS) return;
      setAttributes(place, { "aria-labelledby": `tab-${opened}` });
      if (!shown?.numbers.weights) {
        place.replaceChildren(element("p", { class: "hint" }, t("view.none")));
        return;
      }
      if (!made.has(opened)) made.set(opened, create(opened));
      const { root, update } = made.get(opened);
      if (place.firstChild !== root) place.replaceChildren(root);
      update({ state, options: state.panel.options, shown });
    },
  };
}

const openName = ({ panel }) => panel?.name ?? MAPS;
