"""The view that compares two settings, as a person sees it, and what it has to show."""

from typing import Any

from playwright.async_api import Locator, expect

from tests.browser.playground import Playground, number
from tests.oracle import attention

SIDES = ("a", "b", "difference")

OPENING = {
    "query": [[2, 1, 1, 0], [0, 0.5, 1, 2]],
    "key": [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]],
    "value": [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]],
    "score_model": {"name": "scaled_dot_product"},
    "normalizer": {"name": "softmax"},
}
"""The numbers that the playground opens with."""

VALUES = "table => [...table.tBodies[0].rows].map(row => [...row.cells].slice(1).map(cell => cell.dataset.value))"

PRECISION = 1e-12


class Compared:
    """The open view."""

    def __init__(self, playground: Playground) -> None:
        self.playground = playground
        self.page = playground.page
        self.root = self.page.locator(".view-compare")
        self.summary = self.page.locator(".compare-summary")

    async def open(self) -> None:
        """Open the tab."""
        await self.page.locator("#tab-compare").click()
        await expect(self.root).to_be_visible()

    async def choose(self, preset: str) -> None:
        """Choose a comparison and wait until the service has answered for both sides."""
        await self.page.locator(f'[data-preset="{preset}"]').click()
        await self.fresh()

    async def fresh(self) -> None:
        """Wait until both sides are what the service has said."""
        await self.playground.fresh()
        for side in ("a", "b"):
            await expect(self.check(side)).to_have_attribute("data-state", "match")

    def check(self, side: str) -> Locator:
        """The line below a map, which compares browser and service."""
        return self.page.locator(f'[data-side="{side}"] .verification')

    def map(self, side: str) -> Locator:
        """The table of a side."""
        return self.page.locator(f'[data-side="{side}"] table')

    def cell(self, side: str, row: int, column: int) -> Locator:
        """One cell of a map."""
        return self.map(side).locator(f'[data-row="{row}"][data-column="{column}"]')

    async def values(self, side: str) -> list[list[float]]:
        """Every digit of a map."""
        shown = await self.map(side).evaluate(VALUES)
        return [[number(text) for text in row] for row in shown]

    async def assert_shows(self, a: dict[str, Any], b: dict[str, Any], stage: str = "weights") -> None:
        """Both maps and their difference are those of two requests."""
        expected_a, expected_b = (attention(request)[stage] for request in (a, b))
        difference = [[y - x for x, y in zip(*rows, strict=True)] for rows in zip(expected_a, expected_b, strict=True)]
        for side, expected in zip(SIDES, (expected_a, expected_b, difference), strict=True):
            for received_row, expected_row in zip(await self.values(side), expected, strict=True):
                for received, wanted in zip(received_row, expected_row, strict=True):
                    assert abs(received - wanted) <= PRECISION, (side, received, wanted)


def opening(**changes: Any) -> dict[str, Any]:
    """Return the opening request with other members."""
    return {**OPENING, **changes}
