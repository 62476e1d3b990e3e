// Moving about in a table with the keyboard: one cell can be reached with Tab, the others with the arrow keys.
export function steer(table, { cellAt, size, act, focus }) {
  let current = { row: 0, column: 0 };

  function moveTo(row, column) {
    const target = cellAt(row, column);
    if (!target) return;
    select(row, column);
    target.focus({ preventScroll: false });
  }

  function select(row, column) {
    cellAt(current.row, current.column)?.setAttribute("tabindex", "-1");
    current = { row, column };
    cellAt(row, column)?.setAttribute("tabindex", "0");
  }

  table.addEventListener("focusin", (event) => {
    const cell = event.target.closest("[data-row]");
    if (!cell) return;
    select(Number(cell.dataset.row), Number(cell.dataset.column));
    focus(current.row, current.column);
  });

  table.addEventListener("keydown", (event) => {
    if (event.altKey || event.metaKey || event.shiftKey) return;
    const acts = event.key === " " || event.key === "Enter";
    const next = acts ? null : destination(event, current, size());
    if (!acts && !next) return;
    event.preventDefault();
    if (acts) act(current.row, current.column);
    else moveTo(next.row, next.column);
  });

  return {
    moveTo,
    act,
    // After a repaint: the one tab stop is inside the table, at the explained cell if it is in this table.
    settle(selected) {
      const { rows, columns } = size();
      const wanted = selected && !table.contains(document.activeElement) ? selected : current;
      for (const stop of table.querySelectorAll('[tabindex="0"]')) stop.setAttribute("tabindex", "-1");
      select(Math.min(wanted.row, rows - 1), Math.min(wanted.column, columns - 1));
    },
  };
}

function destination({ key, ctrlKey }, { row, column }, { rows, columns, heads }) {
  const first = heads ? -1 : 0;
  switch (key) {
    case "ArrowLeft":
      return { row, column: Math.max(0, column - 1) };
    case "ArrowRight":
      return { row, column: Math.min(columns - 1, column + 1) };
    case "ArrowUp":
      return { row: Math.max(first, row - 1), column };
    case "ArrowDown":
      return { row: Math.min(rows - 1, row + 1), column };
    case "Home":
      return { row: ctrlKey ? 0 : row, column: 0 };
    case "End":
      return { row: ctrlKey ? rows - 1 : row, column: columns - 1 };
    default:
      return null;
  }
}
