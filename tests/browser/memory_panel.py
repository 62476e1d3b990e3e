"""The panel of memories in the playground, and what tests keep in it."""

import json
from typing import Any

from playwright.async_api import Locator, Page, Request, expect

from service.specification.examples import requests_to

HEROES: dict[str, Any] = requests_to("put_memory")["heroes"]["value"]


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
        """Open the panel and wait for it."""
        await self.title.click()
        await expect(self.name).to_be_visible()

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
