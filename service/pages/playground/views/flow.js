// Ribbons from queries to keys to values, as thick as the weights.
import { element, setAttributes, setText } from "../page/dom.js";
import { widestOf, widthOf } from "../page/measure.js";
import { toggleCell, toggleKey } from "../state/edits.js";
import { sliceOf } from "../state/store.js";
import { t } from "../words/i18n.js";
import { namesOf } from "../words/names.js";
import { formatNumber } from "../words/numbers.js";
import { createDrawing } from "./flow/drawing.js";
import { geometryOf, labelRoom } from "./flow/geometry.js";
import { groupKeys, groupQueries } from "./flow/groups.js";
import { createFlowLegend } from "./flow/legend.js";

const ROWS = ["focused", "all"];

const NARROW = 520;

const FONT = 12;

const LABEL_GAP = 6;

const MAX_OUTPUTS = 8;

const nearly = (one, other) => Math.abs(one - other) < 1e-6;

const weightText = (weight) => formatNumber(weight, 4, { fixed: true });

export const flow = {
  name: "flow",
  options: () => ({ rows: "focused" }),
  readOptions({ rows }, expect) {
    expect(ROWS.includes(rows), "flow");
    return { rows };
  },
  create,
};

function create({ root, change, edit, focus }) {
  const choices = element("div", { class: "choices", role: "group" });
  const buttons = ROWS.map((name) => element("button", { type: "button", "data-rows": name }));
  const label = element("span");
  const rowSelect = element("select");
  const rowField = element("label", { class: "row-field" }, label, rowSelect);
  const place = element("div", { class: "flow-place" });
  const legend = createFlowLegend();
  const output = element("p", { class: "says" });
  const more = element("p", { class: "help" });
  const hiding = element("div", { class: "choices hiding", role: "group" });
  const hidingLabel = element("span");
  const drawing = createDrawing({
    explain({ cell }) {
      if (cell) focus("weights", cell.row, cell.key);
    },
  });
  let now = null;
  let width = 0;
  choices.append(...buttons);
  place.append(drawing.root);
  root.append(element("div", { class: "flow-head" }, choices, rowField), place, legend.root, more, output, hiding);

  buttons.forEach((button, index) =>
    button.addEventListener("click", () => change((options) => Object.assign(options, { rows: ROWS[index] }))),
  );
  rowSelect.addEventListener("change", () => focus("weights", Number(rowSelect.value), now.view.focus.key));
  hiding.addEventListener("click", (event) => {
    const key = event.target.closest("[data-key]")?.dataset.key;
    if (key !== undefined) toggle(Number(key));
  });
  new ResizeObserver(() => {
    if (!now || !place.clientWidth || place.clientWidth === width) return;
    width = place.clientWidth;
    draw();
  }).observe(place);

  // A key that has just been hidden keeps its name, as the focused one does.
  function toggle(key) {
    const { row } = now.view.focus;
    focus("weights", row, key);
    edit((draft) => (now.options.rows === "all" ? toggleKey(draft, key) : toggleCell(draft, row, key)));
  }

  function draw() {
    // To ask for the width at each number that is dragged would lay the page out twice.
    width ||= place.clientWidth;
    const model = modelOf(now, width);
    drawing.draw(model);
    legend.update(model.unit);
    setText(output, outputOf(now));
    setText(more, model.unseen ? t("flow.more_queries", { count: model.unseen }) : "");
    paintHiding(model.keys);
  }

  function paintHiding(keys) {
    const { view, shown } = now;
    const names = namesOf(view, "key", shown.numbers.weights[0].length);
    const named = keys.filter(({ isRest }) => !isRest).map(({ members: [key] }) => key);
    setText(hidingLabel, t(now.options.rows === "all" ? "flow.hide_all" : "flow.hide"));
    hiding.setAttribute("aria-label", hidingLabel.textContent);
    while (hiding.children.length > named.length + 1) hiding.lastChild.remove();
    if (!hiding.firstChild) hiding.append(hidingLabel);
    while (hiding.children.length < named.length + 1) hiding.append(element("button", { type: "button" }));
    named.forEach((key, index) => {
      const button = hiding.children[index + 1];
      setText(button, names[key]);
      setAttributes(button, { "data-key": key, "aria-pressed": String(isHidden(now, { members: [key] })) });
    });
  }

  return {
    update(next) {
      now = { ...next, view: next.shown.view };
      const count = next.shown.numbers.weights.length;
      setAttributes(choices, { "aria-label": t("flow.rows") });
      buttons.forEach((button, index) => {
        setText(button, t(`flow.${ROWS[index]}`));
        setAttributes(button, { "aria-pressed": String(ROWS[index] === next.options.rows) });
      });
      choices.hidden = count < 2;
      rowField.hidden = count < 2;
      setText(label, t("flow.row"));
      while (rowSelect.length > count) rowSelect.lastChild.remove();
      while (rowSelect.length < count) rowSelect.append(element("option", { value: rowSelect.length }));
      namesOf(now.view, "query", count).forEach((name, index) => setText(rowSelect.options[index], name));
      rowSelect.value = String(now.view.focus.row);
      draw();
    },
  };
}

// Whether a group of keys is masked for every row that is shown.
function isHidden({ view, shown, options }, { members }) {
  const { logits } = shown.numbers;
  const rows = options.rows === "all" ? logits : [logits[view.focus.row]];
  return rows.every((row) => members.every((key) => row[key] === -Infinity));
}

function modelOf(now, width) {
  const { view, shown, options } = now;
  const { weights } = shown.numbers;
  const { focus } = view;
  const isAll = options.rows === "all";
  const rows = isAll ? groupQueries(weights.length, focus.row).filter(({ isRest }) => !isRest) : [{ members: [focus.row] }];
  const keys = groupKeys(rows.map(({ members: [row] }) => weights[row]), focus.key);
  const names = { query: namesOf(view, "query", weights.length), key: namesOf(view, "key", weights[0].length) };
  const value = sliceOf(view, "value");
  const valueTexts = value && keys.map((key) => (key.isRest ? "" : valueText(value[key.members[0]], view, labelRoom(width))));
  const isNarrow = width < NARROW;
  const geometry = geometryOf({
    ...{ width, weights, rows, keys },
    hidden: (key) => isHidden(now, key),
    hasValues: Boolean(value),
    labels: {
      query: widestOf(rows.map(({ members: [row] }) => names.query[row]), FONT) + 1,
      value: widestOf(valueTexts ?? [], FONT) + 1,
    },
    lines: isNarrow && !isAll ? 2 : 1,
  });
  const parts = { ...now, ...{ geometry, rows, keys, names, valueTexts, isNarrow, isAll, width } };
  return {
    ...{ width, height: geometry.height, columns: geometry.columns, unit: geometry.unit, keys },
    label: t("flow.label"),
    listLabel: t("stage.weights"),
    unseen: weights.length - (isAll ? rows.length : weights.length),
    heads: headsOf(parts),
    bars: [...queryBars(parts), ...keyBars(parts), ...valueBars(parts)],
    ribbons: ribbonsOf(parts),
  };
}

function headsOf({ geometry: { columns }, width }) {
  const head = (name, x, anchor) => ({ text: t(`flow.${name}`), x, anchor });
  return [
    head("query", 0, "start"),
    head("key", columns.key, "middle"),
    ...(columns.value === null ? [] : [head("value", width, "end")]),
  ];
}

// A bar where its node is, and its text in the middle of it or where there is room for a name.
const placed = ({ y, height, ...node }, place) => ({ y, height, at: node[place] });

function queryBars({ geometry, rows, names, view, shown }) {
  const { columns, nodes } = geometry;
  return rows.map(({ members: [row] }, index) => {
    const sum = shown.numbers.weights[row].reduce((all, weight) => all + weight, 0);
    return {
      ...{ x: columns.query, width: columns.bar, anchor: "end", room: columns.query - LABEL_GAP, isOwn: row === view.focus.row },
      ...placed(nodes.rows[index], "middle"),
      texts: [names.query[row], ...(nearly(sum, 1) ? [] : [`Σ ${formatNumber(sum, 3)}`])],
    };
  });
}

function keyBars(parts) {
  const { geometry, keys, names, view, shown, isNarrow, isAll, width } = parts;
  const { columns, nodes } = geometry;
  const own = shown.numbers.weights[view.focus.row];
  return keys.map((key, index) => {
    const hidden = isHidden(parts, key);
    const name = key.isRest ? t("flow.more", { count: key.members.length }) : names.key[key.members[0]];
    const sum = key.members.reduce((all, member) => all + own[member], 0);
    const number = hidden ? t("legend.hidden") : isAll ? "" : weightText(sum);
    return {
      ...{ x: columns.key, width: columns.bar, anchor: "start", isHidden: hidden },
      ...placed(nodes.keys[index], "name"),
      room: (columns.value ?? width) - columns.key - columns.bar - 2 * LABEL_GAP,
      isOwn: !key.isRest && key.members[0] === view.focus.key,
      texts: !number ? [name] : isNarrow && !hidden ? [name, number] : [`${name}  ${number}`],
    };
  });
}

function valueBars({ geometry, keys, valueTexts, width, ...parts }) {
  const { columns, nodes } = geometry;
  if (columns.value === null) return [];
  return keys.map((key, index) => ({
    ...{ x: columns.value, width: columns.bar, anchor: "start", isHidden: isHidden(parts, key), isOwn: false },
    ...placed(nodes.keys[index], "middle"),
    room: width - columns.value - columns.bar - LABEL_GAP,
    texts: [valueTexts[index]],
  }));
}

// Keys without weight have no ribbon.
function ribbonsOf({ geometry, rows, keys, names, view, isAll }) {
  const { focus } = view;
  return geometry.ribbons
    .filter(({ thickness }) => thickness > 0)
    .map((ribbon) => {
      const row = rows[ribbon.row].members[0];
      const { isRest, members } = keys[ribbon.key];
      const key = isRest ? t("flow.more", { count: members.length }) : names.key[members[0]];
      const number = weightText(ribbon.weight);
      return {
        ...ribbon,
        id: `${row} ${isRest ? "rest" : members[0]}`,
        cell: isRest ? null : { row, key: members[0] },
        label: t("cell.weights", { query: names.query[row], key, number }),
        number: isAll ? number : "",
        // Where a key has ribbons of several queries, each is hit by itself.
        slot: isAll ? null : geometry.nodes.keys[ribbon.key].slot,
        isOwn: row === focus.row,
        isSelected: !isRest && row === focus.row && members[0] === focus.key,
      };
    });
}

// The largest numbers of a value by name, as many as fit; one in any case.
function valueText(row, view, room) {
  const names = namesOf(view, "value", row.length);
  const order = row.map((_, column) => column).sort((one, other) => Math.abs(row[other]) - Math.abs(row[one]) || one - other);
  let text = "";
  for (const column of order) {
    const number = t("said.weight", { key: names[column], number: formatNumber(row[column], 2) });
    const longer = text ? text + t("said.separator") + number : number;
    if (text && (row[column] === 0 || widthOf(longer, FONT) > room)) break;
    text = longer;
  }
  return text;
}

function outputOf({ view, shown }) {
  const { output } = shown.numbers;
  if (!output) return t("map.no_values");
  const row = output[view.focus.row];
  const names = namesOf(view, "value", row.length);
  const numbers = row
    .slice(0, MAX_OUTPUTS)
    .map((number, column) => t("said.weight", { key: names[column], number: formatNumber(number) }));
  const query = namesOf(view, "query", view.focus.row + 1).at(-1);
  return t("flow.output", { query, numbers: numbers.join(t("said.separator")) + (row.length > MAX_OUTPUTS ? " …" : "") });
}
