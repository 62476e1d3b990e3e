"""Mouse, touch and keyboard: what a person does with a page, and how often.

An act is a click, a tap, a key that acts, a text that is typed, a drag, or a file that is chosen.  Keys that only lead
the focus on are counted apart.
"""

import base64
from pathlib import Path

from tests.browser.playground import PASTE
from tests.browser.scripted_playground import ScriptedPage

MAX_KEYS = 150

DRAGGED_PIXELS = 40

DRAG_STEPS = 4

CLIPBOARD = """
(text) => {
  const field = document.body.appendChild(document.createElement("textarea"));
  field.value = text;
  field.focus();
  field.select();
}
"""

# Which key leads from the focus to an element, and whether it acts; null where the focus has arrived.  Of tabs one is a
# stop, and an arrow opens the next; a link at the start of the page leads past what stands before its part.
WAY = """
(selector) => {
  const [target, focused] = [document.querySelector(selector), document.activeElement];
  if (target === focused) return null;
  const tabs = [...document.querySelectorAll('[role="tab"]')];
  const [from, to] = [tabs.indexOf(focused), tabs.indexOf(target)];
  if (from >= 0 && to >= 0)
    return [(to - from + tabs.length) % tabs.length <= tabs.length / 2 ? "ArrowRight" : "ArrowLeft", true];
  const part = document.getElementById(focused.dataset.skip);
  if (part?.contains(target)) return ["Enter", true];
  const isBehind = focused.compareDocumentPosition(target) & Node.DOCUMENT_POSITION_PRECEDING;
  return [isBehind ? "Shift+Tab" : "Tab", false];
}
"""


VISIBLE = """
(selector) => document.querySelector(selector)?.checkVisibility({ visibilityProperty: true })
"""


def encoded(path: Path) -> str:
    """Return the content of a file as JavaScript can take it."""
    return base64.b64encode(path.read_bytes()).decode()


async def nothing() -> None:
    """Look at nothing between the steps of a drag."""


class Hand:
    """One way to use a page; `acts` and `moves` count."""

    def __init__(self, page: ScriptedPage) -> None:
        self.page = page
        self.acts = 0
        self.moves = 0

    async def press(self, selector: str) -> None:
        """Press a button, a tab or a field."""
        raise NotImplementedError

    async def focus(self, selector: str) -> None:
        """Give the focus to a field."""
        await self.press(selector)

    async def drag(self, selector: str) -> None:
        """Draw a slider to the right."""
        raise NotImplementedError

    async def give_file(self, path: Path, button: str, drop: str) -> None:
        """Press a button and choose a file; `drop` is what a mouse does instead, a function of its name and content."""
        await self.page.choose_file(self.press(button), path)
        self.acts += 1

    async def choose(self, selector: str, option: str) -> None:
        """Open a list and choose one of its options."""
        self.acts += 2
        await self.page.choose(selector, option)

    async def write(self, selector: str, text: str) -> None:
        """Write a text into a field, in the place of what it held."""
        await self.focus(selector)
        await self.page.press("Control+a")
        await self.page.type(text)
        self.acts += 1

    async def copy(self, text: str) -> None:
        """Put a text on the clipboard, as another program does."""
        await self.page.call(CLIPBOARD, text)
        await self.page.press("Control+c")
        await self.page.call("() => document.activeElement.remove()")

    async def clipboard(self) -> str:
        """Return the text on the clipboard, as another program receives it."""
        await self.page.call(CLIPBOARD, "")
        await self.page.press("Control+v")
        await self.page.until("() => document.activeElement.value !== ''")
        text: str = await self.page.call(
            "() => { const { value } = document.activeElement; document.activeElement.remove(); return value; }"
        )
        return text

    async def paste(self, selector: str, text: str) -> None:
        """Paste a text into a field."""
        await self.copy(text)
        await self.focus(selector)
        await self.page.press("Control+v")
        self.acts += 1


class Mouse(Hand):
    """Clicks, and keys for text."""

    async def press(self, selector: str) -> None:
        """Click."""
        self.acts += 1
        await self.page.until(VISIBLE, selector)
        await self.page.click(selector)

    async def drag(self, selector: str) -> None:
        """Draw with the button down."""
        self.acts += 1
        await self.page.drag(selector, DRAGGED_PIXELS, DRAG_STEPS, nothing)

    async def give_file(self, path: Path, button: str, drop: str) -> None:
        """Drag the file onto the page."""
        self.acts += 1
        await self.page.call(drop, path.name, encoded(path))


class Touch(Hand):
    """Taps on a telephone; the clipboard is an action of its menu."""

    async def press(self, selector: str) -> None:
        """Tap."""
        self.acts += 1
        await self.page.until(VISIBLE, selector)
        await self.page.tap(selector)

    async def drag(self, selector: str) -> None:
        """Draw with the finger."""
        self.acts += 1
        await self.page.drag(selector, DRAGGED_PIXELS, DRAG_STEPS, nothing, kind="touch")

    async def paste(self, selector: str, text: str) -> None:
        """Paste by the menu of the field."""
        await self.press(selector)
        self.acts += 1
        await self.page.call(f"(selector, text) => ({PASTE})(document.querySelector(selector), text)", selector, text)


class Keyboard(Hand):
    """Keys alone."""

    async def focus(self, selector: str) -> None:
        """Lead the focus to an element."""
        await self.page.until(VISIBLE, selector)
        for _ in range(MAX_KEYS):
            way = await self.page.call(WAY, selector)
            if way is None:
                return
            key, acts = way
            await self.page.press(key)
            if acts:
                self.acts += 1
            else:
                self.moves += 1
        raise AssertionError(f"{selector} cannot be reached with keys")

    async def press(self, selector: str) -> None:
        """Press Enter; a tab is open when it has the focus."""
        await self.focus(selector)
        if await self.page.call("() => document.activeElement.getAttribute('role') === 'tab'"):
            return
        self.acts += 1
        await self.page.press("Enter")

    async def choose(self, selector: str, option: str) -> None:
        """Press an arrow until the list shows the option; each press chooses one."""
        await self.focus(selector)
        value = "(selector) => document.querySelector(selector).value"
        for _ in range(MAX_KEYS):
            if await self.page.call(value, selector) == option:
                return
            self.acts += 1
            await self.page.press("ArrowDown")
        raise AssertionError(f"{selector} has no option {option} below the first")

    async def drag(self, selector: str) -> None:
        """Move a slider by its keys."""
        await self.focus(selector)
        self.acts += DRAG_STEPS
        await self.page.press(*["ArrowRight"] * DRAG_STEPS)


HANDS: dict[str, type[Hand]] = {"mouse": Mouse, "touch": Touch, "keyboard": Keyboard}
