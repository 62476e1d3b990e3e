// Any number can be dragged: sideways with the pointer, or step by step with Alt and the arrows up and down.  The field
// then says what it would say had it been typed.
import { formatFull, parseNumber } from "../words/numbers.js";

const NUMBER_FIELD = 'input[inputmode="decimal"]';

// Below this many pixels a press is a click, and the field takes the focus.
const THRESHOLD_PIXELS = 4;

const PIXELS_PER_STEP = 3;

const COARSE = 10;

const MAX_DECIMALS = 12;

// A blank field stands for its default, which its placeholder shows.
const valueOf = (field) => parseNumber(field.value) ?? parseNumber(field.placeholder) ?? 0;

const decimalsIn = (value) => /\.(\d+)$/.exec(String(value))?.[1].length ?? 0;

// A tenth of the size of the number, or the last digit that it is written with if that is finer.
export function stepOf(value, isCoarse = false) {
  const size = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  const exponent = Math.max(Math.min(size - 1, -decimalsIn(value)), size - 2, -MAX_DECIMALS);
  return 10 ** exponent * (isCoarse ? COARSE : 1);
}

// The number `steps` steps on, without the rounding errors of its steps, within the bounds of its field.
export function moved(start, steps, step, { least, above } = {}) {
  const decimals = Math.max(0, -Math.floor(Math.log10(step)), decimalsIn(start));
  const next = Number((start + steps * step).toFixed(Math.min(MAX_DECIMALS, decimals)));
  if (!Number.isFinite(next)) return start;
  if (least !== undefined) return Math.max(Number(least), next);
  if (above !== undefined && next <= Number(above)) return Number(above) + step;
  return next;
}

// `hold` and `release` frame a drag: what lies between is of passage.
export function createDragging(root, { hold, release }) {
  let drag = null;
  let frame = null;

  function write(field, value) {
    const text = formatFull(value);
    if (field.value === text) return;
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function isDraggable(field) {
    return field.matches?.(NUMBER_FIELD) && !field.readOnly && !field.hasAttribute("aria-invalid");
  }

  root.addEventListener("pointerdown", (event) => {
    const field = event.target;
    if (event.button !== 0 || !isDraggable(field)) return;
    // A finger scrolls, unless the number has been chosen before; a mouse selects text where the caret stands.
    const isFocused = field === document.activeElement;
    if ((event.pointerType === "mouse") === isFocused) return;
    const start = valueOf(field);
    const { clientX: x, pointerId: pointer } = event;
    drag = { field, start, blank: field.value === "", step: stepOf(start), x, pointer, moves: false };
  });

  root.addEventListener("mousedown", (event) => {
    if (drag?.field === event.target && event.target !== document.activeElement) event.preventDefault();
  });

  root.addEventListener("pointermove", (event) => {
    if (!drag || event.pointerId !== drag.pointer) return;
    // The button has been released where the page does not hear of it.
    if (!event.buttons) {
      end(false);
      return;
    }
    const pixels = event.clientX - drag.x;
    if (!drag.moves) {
      if (Math.abs(pixels) < THRESHOLD_PIXELS) return;
      drag.moves = true;
      drag.field.setPointerCapture(drag.pointer);
      drag.field.dataset.dragged = "";
      hold();
    }
    const steps = Math.round(pixels / PIXELS_PER_STEP) * (event.shiftKey ? COARSE : 1);
    drag.value = moved(drag.start, steps, drag.step, drag.field.dataset);
    frame ??= requestAnimationFrame(() => {
      frame = null;
      if (drag?.moves) write(drag.field, drag.value);
    });
  });

  function end(isClick) {
    if (!drag) return;
    const { field, moves, value } = drag;
    drag = null;
    if (moves) {
      if (value !== undefined) write(field, value);
      delete field.dataset.dragged;
      release();
    } else if (isClick && field !== document.activeElement) {
      field.focus();
      field.select();
    }
  }

  root.addEventListener("pointerup", () => end(true));
  root.addEventListener("pointercancel", () => end(false));

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && drag?.moves) {
      drag.value = undefined;
      const { field, start, blank } = drag;
      field.value = blank ? "" : formatFull(start);
      field.dispatchEvent(new Event("input", { bubbles: true }));
      end(false);
    }
  });

  root.addEventListener("keydown", (event) => {
    const direction = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!direction || !event.altKey || event.ctrlKey || event.metaKey || !isDraggable(event.target)) return;
    event.preventDefault();
    const start = valueOf(event.target);
    write(event.target, moved(start, direction, stepOf(start, event.shiftKey), event.target.dataset));
  });
}
