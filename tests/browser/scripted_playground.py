"""The playground by selectors, in Firefox or Chromium: every wait is for what the page itself says."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.browser.chromium import ChromiumPage
from tests.browser.firefox import FirefoxPage
from tests.browser.playground import LOCALES, number

ScriptedPage = ChromiumPage | FirefoxPage

OpenFirefox = Callable[..., Awaitable[FirefoxPage]]

ROWS = """
(selector) => [...document.querySelectorAll(selector)].map((table) => [...table.tBodies[0].rows].map((row) =>
  [...row.querySelectorAll("td")].map((cell) => cell.textContent)))
"""

WRITE = """
(text) => {
  const field = document.body.appendChild(document.createElement("textarea"));
  field.value = text;
  field.focus();
}
"""

FRESH = """
(verification) => {
  const results = document.querySelector("#results");
  const state = document.querySelector("#verification").dataset.state;
  const isShown = results.dataset.state === "fresh" && results.checkVisibility({ visibilityProperty: true });
  return isShown && (!verification || state === verification);
}
"""


class ScriptedPlayground:
    """One open playground."""

    def __init__(self, page: ScriptedPage) -> None:
        self.page = page

    async def fresh(self, verification: str | None = None) -> None:
        """Wait until the page shows the result of its own inputs, and what comparing it gave."""
        await self.page.until(FRESH, verification)

    def field(self, tensor: str, row: int, column: int) -> str:
        """The selector of one field of Q, K or V."""
        return f'#tensor-{tensor} [data-row="{row}"][data-column="{column}"]'

    def cell(self, stage: str, row: int, column: int) -> str:
        """The selector of one cell of a map."""
        return f'table[data-stage="{stage}"] [data-row="{row}"][data-column="{column}"]'

    async def texts(self, stage: str) -> list[list[str]]:
        """What the cells of a map show."""
        shown: list[list[list[str]]] = await self.page.call(ROWS, f'table[data-stage="{stage}"]')
        return shown[0]

    async def value(self, selector: str) -> str:
        """What a field holds."""
        held: str = await self.page.call("(selector) => document.querySelector(selector).value", selector)
        return held

    async def paste(self, tensor: str, text: str) -> None:
        """Paste into the first field of Q, K or V, from the clipboard."""
        await self.page.call(WRITE, text)
        await self.page.press("Control+a", "Control+c")
        await self.page.call("() => document.activeElement.remove()")
        await self.page.click(self.field(tensor, 0, 0))
        await self.page.press("Control+v")

    async def exact(self) -> list[list[list[float]]]:
        """Every digit of scores, weights and output, as the table of numbers shows them."""
        await self.page.click("#tab-table")
        await self.page.until("() => document.querySelector('#view-other .plain')?.checkVisibility()")
        shown = await self.page.call(ROWS, "#view-other .plain")
        await self.page.click("#tab-maps")
        return [[[number(text) for text in row] for row in table] for table in shown]


async def opened(open_firefox: OpenFirefox, url: str, language: str = "en", **options: Any) -> ScriptedPlayground:
    """Open the playground in a Firefox of that language and wait for the first result."""
    playground = ScriptedPlayground(await open_firefox(f"{url}/playground", locale=LOCALES[language], **options))
    await playground.fresh("match")
    return playground
