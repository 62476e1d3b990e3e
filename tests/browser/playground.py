"""The playground as a person uses it: choose, type, read heat maps; every wait is for what the page itself says."""

import re
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.browser.links import read

STAGES = ("scores", "mask", "weights", "output")

LOCALES = {"zh": "zh-CN", "en": "en-GB"}

TAGS = {"zh": "zh-Hans", "en": "en"}

MAX_TABS = 150

PASTE = """
(field, text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  field.focus();
  field.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}
"""

ROWS = "table => [...table.tBodies[0].rows].map(row => [...row.querySelectorAll('td')].map({}))"


class Playground:
    """One open playground."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.results = page.locator("#results")
        self.verification = page.locator("#verification")
        self.decision = page.locator("#explain-decision")
        self.announced = page.locator("#announcer")

    async def fresh(self) -> None:
        """Wait until the page shows the result of its own inputs; until the first one is complete it shows nothing."""
        await expect(self.results).to_have_attribute("data-state", "fresh")
        await expect(self.results).to_be_visible()

    async def choose(self, select: str, value: str) -> None:
        """Choose an option and wait for the result."""
        await self.page.locator(select).select_option(value)
        await self.fresh()

    async def language(self, name: str) -> None:
        """Change the language of the page."""
        await self.page.locator(f'[data-language="{name}"]').click()
        await expect(self.page.locator("html")).to_have_attribute("lang", TAGS[name])

    def map(self, stage: str) -> Locator:
        """The table of a stage."""
        return self.page.locator(f'table[data-stage="{stage}"]')

    def cell(self, stage: str, row: int, column: int) -> Locator:
        """One cell of a heat map."""
        return self.map(stage).locator(f'[data-row="{row}"][data-column="{column}"]')

    def field(self, tensor: str, row: int, column: int) -> Locator:
        """One field of Q, K or V."""
        return self.page.locator(f'#tensor-{tensor} [data-row="{row}"][data-column="{column}"]')

    def name_field(self, tensor: str, direction: str, index: int) -> Locator:
        """The name of a row or column of Q, K or V."""
        return self.page.locator(f'#tensor-{tensor} [data-direction="{direction}"][data-index="{index}"]')

    def error(self, place: str) -> Locator:
        """The error beside a field."""
        return self.page.locator(f'[data-place="{place}"]')

    def notice(self, kind: str) -> Locator:
        """The notice above the results."""
        return self.page.locator(f'.notice[data-kind="{kind}"]')

    async def type_into(self, tensor: str, row: int, column: int, text: str) -> None:
        """Write a number into a field and wait for the result."""
        await self.field(tensor, row, column).fill(text)
        await self.fresh()

    async def paste(self, tensor: str, text: str, row: int = 0, column: int = 0) -> None:
        """Paste into a field."""
        await self.field(tensor, row, column).evaluate(PASTE, text)

    async def texts(self, stage: str) -> list[list[str]]:
        """What the cells of a heat map show."""
        shown: list[list[str]] = await self.map(stage).evaluate(ROWS.format("cell => cell.textContent"))
        return shown

    async def labels(self, stage: str) -> list[list[str]]:
        """What the cells of a heat map are called."""
        shown: list[list[str]] = await self.map(stage).evaluate(ROWS.format("cell => cell.getAttribute('aria-label')"))
        return shown

    async def link(self, view: str, options: dict[str, Any]) -> str:
        """Wait until the address opens a view with these options, and return it."""
        await self.page.wait_for_url(lambda url: "#2." in url and read(url)["t"] == [view, options])
        return self.page.url

    async def explained(self, text: str) -> None:
        """Wait until the steps of the service contain a text."""
        await expect(self.page.locator("#explain-steps")).to_contain_text(text)

    async def tab_to(self, target: Locator, key: str = "Tab") -> None:
        """Press Tab until an element has the focus."""
        for _ in range(MAX_TABS):
            await self.page.keyboard.press(key)
            if await target.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"{target} cannot be reached with {key}")


async def opened(open_page: Any, url: str, language: str = "en", **options: Any) -> tuple[Any, Playground]:
    """Open the playground in a browser of that language and wait for the first result."""
    recorded = await open_page(f"{url}/playground", locale=LOCALES[language], **options)
    playground = Playground(recorded.page)
    await playground.fresh()
    return recorded, playground


def number(text: str) -> float:
    """Read a number as the page writes it."""
    return float(text.replace("−", "-").replace("∞", "inf"))


def assert_shown(text: str, expected: float | None, columns: int = 1) -> None:
    """A text is this number, rounded as in a heat map of `columns` columns; null is minus infinity."""
    if expected is None or abs(expected) == float("inf"):
        assert number(text) == (float("-inf") if expected is None else expected)
        return
    written = re.fullmatch(r"−?\d+(?:\.(\d+))?(?:e(−?\d+))?", text)
    assert written, text
    # Trailing zeros are not written, so that only an exponent tells how many digits are meant.
    decimals = 4 if columns <= 8 else 3 if columns <= 16 else 2
    unit = (
        10.0**-decimals if written[2] is None else 10.0 ** (int(written[2].replace("−", "-")) - len(written[1] or ""))
    )
    assert abs(number(text) - expected) <= 0.5001 * unit, f"{text} is not {expected!r}"
