// The tabs above the maps, and the view that one of them opens.
import { VIEWS, viewOf } from "../views/list.js";
import { t } from "../words/i18n.js";
import { byId, element, setAttributes, setText } from "./dom.js";

const MAPS = "maps";

// Where a key leads from tab `at` of `count`.
const KEYS = {
  ArrowRight: (at, count) => (at + 1) % count,
  ArrowLeft: (at, count) => (at + count - 1) % count,
  Home: () => 0,
  End: (_, count) => count - 1,
};

// `load` takes a request, `focus` a stage, row and column, `choose` a slice.
export function createViews({ store, catalogue, theme, load, focus, choose }) {
  const names = [MAPS, ...VIEWS.map(({ name }) => name)];
  const tabs = names.map((name) => element("button", { type: "button", role: "tab", id: `tab-${name}` }));
  const list = byId("views");
  const place = byId("view-other");
  const made = new Map();
  list.hidden = VIEWS.length === 0;
  list.append(...tabs);
  tabs.forEach((tab, index) => tab.addEventListener("click", () => open(names[index])));
  list.addEventListener("keydown", (event) => {
    if (!Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    const next = KEYS[event.key](names.indexOf(openName(store.get())), names.length);
    open(names[next]);
    tabs[next].focus();
  });

  function open(name) {
    if (name === openName(store.get())) return;
    store.change((draft) => {
      draft.panel = name === MAPS ? null : { name, options: viewOf(name).options() };
    });
  }

  function change(edit) {
    store.change((draft) => edit(draft.panel.options));
  }

  // The slice that a view has chosen is looked at in the maps.
  function chooseAndLook(slice) {
    choose(slice);
    open(MAPS);
    tabs[0].focus();
  }

  function create(name) {
    const root = element("div", { class: `view-${name}` });
    const view = viewOf(name).create({ root, catalogue, theme, change, load, focus, choose: chooseAndLook });
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
