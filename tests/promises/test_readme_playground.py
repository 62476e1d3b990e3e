"""What the pages say of the playground, done in a real browser."""

import re
from urllib.parse import urldefrag

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import Playground, opened
from tests.promises.readme import LANGUAGES, ROOT, codes, page_of, table
from tests.server import Server

ARROWS = {"←": "ArrowLeft", "→": "ArrowRight", "↑": "ArrowUp", "↓": "ArrowDown"}


class Keyboard:
    """Presses keys by the names that the pages use, and remembers which."""

    def __init__(self, playground: Playground) -> None:
        self.playground = playground
        self.pressed: set[str] = set()

    async def press(self, key: str, expected: Locator) -> None:
        """Press a key, with others held down or not; then an element has the focus."""
        keys = key.split("+")
        self.pressed |= set(keys)
        named = {"Ctrl": "Control", "Esc": "Escape", **ARROWS}
        await self.playground.page.keyboard.press("+".join(named.get(each, each) for each in keys))
        await expect(expected).to_be_focused()


@pytest.mark.soak
@pytest.mark.browser
async def test_every_key_does_what_the_table_says(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    keyboard = Keyboard(playground)

    def weight(row: int, key: int) -> Locator:
        return playground.cell("weights", row, key)

    await weight(0, 0).focus()
    for key, (row, column), pair in [
        ("→", (0, 1), "team fight → jungler"),
        ("↓", (1, 1), "dragon up → jungler"),
        ("←", (1, 0), "dragon up → marksman"),
        ("End", (1, 3), "dragon up → top"),
        ("Home", (1, 0), "dragon up → marksman"),
        ("↑", (0, 0), "team fight → marksman"),
        ("Ctrl+End", (1, 3), "dragon up → top"),
        ("Ctrl+Home", (0, 0), "team fight → marksman"),
    ]:
        await keyboard.press(key, weight(row, column))
        await expect(recorded.page.locator("#explain-pair")).to_have_text(pair)

    await keyboard.press("Space", weight(0, 0))
    await expect(weight(0, 1)).to_have_text("0.4992")
    await expect(weight(1, 1)).to_have_text("0.6567")
    await keyboard.press("Enter", weight(0, 0))
    await expect(weight(0, 1)).to_have_text("0.1489")
    await keyboard.press("↑", weight(-1, 0))
    await keyboard.press("Space", weight(-1, 0))
    for row in (0, 1):
        await expect(playground.cell("mask", row, 0)).to_have_text("×")
    await keyboard.press("Tab", playground.cell("output", 0, 0))

    await playground.field("key", 0, 0).focus()
    await keyboard.press("↓", playground.field("key", 1, 0))
    await keyboard.press("→", playground.field("key", 1, 1))
    await keyboard.press("Enter", playground.field("key", 2, 1))
    await keyboard.press("↑", playground.field("key", 1, 1))
    await keyboard.press("←", playground.field("key", 1, 0))
    for key, value in (("Alt+↑", "0.61"), ("Alt+Shift+↓", "0.51"), ("Ctrl+Z", "0.6"), ("Ctrl+Shift+Z", "0.51")):
        await keyboard.press(key, playground.field("key", 1, 0))
        await expect(playground.field("key", 1, 0)).to_have_value(value)
    on = recorded.page.locator("#walk-on")
    walked = recorded.page.locator("[data-walked]")
    await on.focus()
    await keyboard.press("→", on)
    await expect(walked.first).to_be_visible()
    await keyboard.press("Esc", on)
    await expect(walked).to_have_count(0)
    assert keyboard.pressed == {key for row in table("en", "Key") for cell in row for key in codes(cell)}


@pytest.mark.soak
@pytest.mark.browser
async def test_the_shared_link_holds_everything_where_no_server_sees_it(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.type_into("query", 0, 0, "1.5")
    await playground.cell("mask", 0, 0).click()
    await playground.fresh()
    await recorded.page.locator("#share").click()
    await expect(recorded.page).to_have_url(re.compile("#."))
    address, fragment = urldefrag(recorded.page.url)
    assert address == f"{server.url}/playground"

    other, same = await opened(open_page, server.url, "zh")
    await other.page.goto(recorded.page.url)
    await other.page.reload()
    await same.fresh()
    assert [await same.texts(stage) for stage in ("mask", "weights")] == [
        await playground.texts(stage) for stage in ("mask", "weights")
    ]
    assert (await same.texts("mask"))[0][0] == "×"
    assert "/v1/attention" in server.log.read_text()
    assert fragment not in server.log.read_text()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_largest_matrix_is_that_of_the_page(language: str) -> None:
    state = (ROOT / "service" / "pages" / "playground" / "state" / "store.js").read_text(encoding="utf-8")
    limit = re.search(r"export const LIMIT = (\d+);", state)[1]
    section, *_ = page_of(language, "docs/how-to/playground")
    assert f"{limit} × {limit}" in section.prose
