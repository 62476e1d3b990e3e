"""Memories in the playground: keep the keys on the screen, compute with kept ones, replace and delete them."""

import json
from typing import Any

import httpx
import pytest
from playwright.async_api import Locator, Page, Request, expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import STAGES, Playground, opened
from tests.server import Server

pytestmark = pytest.mark.browser

PRECONDITION_FAILED = "the server responded with a status of 412"

NOT_FOUND = "the server responded with a status of 404"

CONFLICT = "the server responded with a status of 409"

KEY = "key-of-memories-4711"


class Panel:
    """The panel of memories."""

    def __init__(self, page: Page) -> None:
        self.root = page.locator("#memory")
        self.title = page.locator("#memory-title")
        self.name = page.locator("#memory-name")
        self.used = page.locator("#memory-used")
        self.question = self.root.locator(".question")
        self.said = self.root.locator(".said")
        self.error = self.root.locator("#memory-panel .field-error")
        self.rows = self.root.locator(".memory-list li")

    async def open(self) -> None:
        """Open the panel and wait for the list."""
        await self.title.click()
        await expect(self.root.locator(".memory-list")).to_be_visible()

    def button(self, action: str) -> Locator:
        """A button of the panel that belongs to no row."""
        return self.root.locator(f'[data-action="{action}"]:not([data-name])')

    def row(self, name: str) -> Locator:
        """The row of a memory."""
        return self.root.locator(f'li[data-name="{name}"]')

    def row_button(self, action: str, name: str) -> Locator:
        """A button in the row of a memory."""
        return self.row(name).locator(f'[data-action="{action}"]')

    async def keep(self, name: str) -> None:
        """Keep the keys and values of the page."""
        await self.name.fill(name)
        await self.button("keep").click()


def requests_of(page: Page) -> list[dict[str, Any]]:
    """Return the bodies of the attention requests that a page sends, as they come."""
    sent: list[dict[str, Any]] = []

    def note(request: Request) -> None:
        if request.url.endswith("/v1/attention"):
            sent.append(json.loads(request.post_data or ""))

    page.on("request", note)
    return sent


async def shown(playground: Playground) -> list[list[list[str]]]:
    """Return the texts of the four maps."""
    return [await playground.texts(stage) for stage in STAGES]


async def test_keys_are_kept_and_computed_with_replaced_shared_and_deleted(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient
) -> None:
    recorded, playground = await opened(open_page, server.url)
    page, panel = recorded.page, Panel(recorded.page)
    typed = await shown(playground)
    assert await panel.root.locator("#memory-panel > *").count() == 0, "nothing is made before it is opened"

    # With the keyboard alone.
    await panel.title.focus()
    await page.keyboard.press("Enter")
    await expect(panel.name).to_be_visible()
    await playground.tab_to(panel.name)
    await page.keyboard.type("browser.heroes")
    await page.keyboard.press("Enter")
    await expect(panel.row("browser.heroes")).to_contain_text("keys: 4, float64, K 4 × 4, V 4 × 3")
    await expect(playground.announced).to_have_text("Kept as “browser.heroes”, with this many keys: 4.")
    sent = requests_of(page)
    use = page.get_by_role("button", name="Use browser.heroes")
    await playground.tab_to(use)
    await page.keyboard.press("Space")
    await playground.fresh()
    version = (await client.get("/v1/memories/browser.heroes")).json()["version"]
    assert [(one["memory"], one.keys() & {"key", "value"}) for one in sent] == [
        ({"name": "browser.heroes", "version": version}, set())
    ]
    await expect(use).to_be_focused()
    await expect(use).to_have_attribute("aria-pressed", "true")
    await expect(playground.announced).to_contain_text("Keys and values come from the memory “browser.heroes”")
    assert await shown(playground) == typed
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await playground.explained("0.701669")
    await expect(page.locator("#tensor-key .source")).to_have_text("From the memory “browser.heroes”.")
    await expect(playground.field("key", 0, 0)).to_have_attribute("readonly", "")
    await playground.paste("key", "7\t7\n7\t7")
    await expect(playground.field("key", 0, 0)).to_have_value("1.9")

    # The link has the name, and what was typed.
    await page.wait_for_url("**#1.*")
    await page.reload()
    await playground.fresh()
    assert await shown(playground) == typed
    await playground.language("zh")
    await expect(panel.used).to_contain_text("键与值来自记忆“browser.heroes”（键数 4，float64，K 4 × 4，V 4 × 3）。")
    await expect(playground.map("weights").get_by_role("columnheader").first).to_have_text("marksman")
    await playground.language("en")
    await panel.used.locator("[data-action=release]").click()
    await playground.fresh()
    await expect(panel.used).to_be_hidden()
    await expect(panel.title).to_be_focused()

    # A name that is taken is replaced only when asked.
    await playground.type_into("key", 0, 0, "0.25")
    changed = await shown(playground)
    await panel.open()
    await panel.keep("browser.heroes")
    await expect(panel.question).to_contain_text("There is a memory “browser.heroes” already")
    await expect(panel.button("yes")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(panel.question).to_be_hidden()
    assert (await client.get("/v1/memories/browser.heroes")).json()["version"] == version
    await panel.button("keep").click()
    await panel.button("yes").click()
    await expect(panel.said).to_contain_text("Kept as “browser.heroes”")
    await panel.row_button("use", "browser.heroes").click()
    await playground.fresh()
    assert await shown(playground) == changed != typed

    await panel.row_button("delete", "browser.heroes").click()
    await expect(panel.question).to_contain_text("Delete the memory “browser.heroes” for good?")
    await panel.button("no").click()
    await expect(panel.row_button("delete", "browser.heroes")).to_be_focused()
    await panel.row_button("delete", "browser.heroes").click()
    await panel.button("yes").click()
    await expect(panel.said).to_have_text("“browser.heroes” has been deleted.")
    await expect(panel.row("browser.heroes")).to_have_count(0)
    await expect(panel.used).to_be_hidden()
    assert (await client.get("/v1/memories/browser.heroes")).status_code == 404
    await recorded.assert_fits()
    await recorded.assert_clean(PRECONDITION_FAILED, PRECONDITION_FAILED)
