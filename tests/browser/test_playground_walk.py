"""The step bar walks through what the service explains, cell by cell, and marks the cells that each step is about."""

from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from attention_core.normalizers import NORMALIZERS
from attention_core.scores import SCORE_MODELS
from tests.browser.conftest import OpenPage
from tests.browser.lesson import request_of
from tests.browser.playground import Playground, opened
from tests.server import Server

pytestmark = pytest.mark.browser

MARKED = """
() => [...document.querySelectorAll("[data-walked]")].map((cell) => {
  const { row, column } = (cell.querySelector("input") ?? cell).dataset;
  const place = cell.closest("[id^=tensor-], [id^=stage-]").id.split("-")[1];
  return `${place} ${row} ${column}`;
})
"""


def cells(place: str, row: int | None, column: int | None, sizes: tuple[int, int] = (4, 4)) -> list[str]:
    """Return the cells of an area as `MARKED` spells them."""
    rows = range(sizes[0]) if row is None else [row]
    columns = range(sizes[1]) if column is None else [column]
    return [f"{place} {each} {other}" for each in rows for other in columns]


async def at(page: Page, number: int, count: int, pair: str) -> None:
    await expect(page.locator("#explain-pair")).to_have_text(pair)
    await expect(page.locator(".walk-at")).to_have_text(f"{number}/{count}")


async def marked(page: Page) -> set[str]:
    return set(await page.evaluate(MARKED))


async def explained(url: str, request: dict[str, Any], key: int) -> list[str]:
    """Return the names of the steps of the service."""
    async with httpx.AsyncClient(base_url=url) as client:
        question = {"request": request, "query_index": 0, "key_index": key}
        answer = (await client.post("/v1/attention/explain", json=question)).json()
    return [step["name"] for step in answer["steps"]]


async def test_a_weight_is_walked_from_its_terms_to_its_share_of_the_output(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    page = recorded.page
    await playground.explained("0.701669")
    steps = await explained(server.url, request_of("honor-of-kings"), 0)
    count = 4 + len(steps)
    await page.locator("#walk-on").focus()
    for feature in range(4):
        await page.keyboard.press("ArrowRight")
        await at(page, feature + 1, count, "team fight → marksman")
        assert await marked(page) == {f"query 0 {feature}", f"key 0 {feature}"}
    both = {*cells("query", 0, None), *cells("key", 0, None)}
    row = set(cells("scores", 0, None))
    expected = {
        "sum": both,
        "factor": {"scores 0 0"},
        "score": {"scores 0 0"},
        "logit": {"scores 0 0", "mask 0 0"},
        "maximum": row,
        "exponential": {"scores 0 0"},
        "denominator": row,
        "weight": {"scores 0 0", "weights 0 0"},
        "contribution": {"weights 0 0", *cells("value", 0, None, (4, 3)), *cells("output", 0, None, (4, 3))},
    }
    assert set(steps) == set(expected)
    for place, name in enumerate(steps, 5):
        await page.keyboard.press("ArrowRight")
        await at(page, place, count, "team fight → marksman")
        assert await marked(page) == expected[name], name
        line = page.locator(f'#explain-steps [data-step="{name}"]')
        await expect(line).to_have_attribute("aria-current", "step")
        await expect(page.locator("[data-walking]")).to_have_count(1)
    await expect(playground.announced).to_contain_text(f"{count} of {count}")
    await page.keyboard.press("Escape")
    assert await marked(page) == set()
    await recorded.assert_clean()


async def test_the_walk_goes_on_to_the_next_cell_and_back(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    page = recorded.page
    await playground.choose("#example", "seed-mixing")
    on, back = page.locator("#walk-on"), page.locator("#walk-back")
    await playground.cell("scores", 0, 3).click()
    await playground.explained("top")
    await expect(back).to_have_attribute("aria-disabled", "true")
    count = 1 + len(await explained(server.url, request_of("seed-mixing"), 3))
    for number in range(1, count + 1):
        await on.click()
        await at(page, number, count, "support → top")
    await on.click()
    await at(page, 1, 1, "support → V marksman")
    assert await marked(page) == {*cells("weights", 0, None), *cells("value", None, 0), "output 0 0"}
    await back.click()
    await at(page, count, count, "support → top")
    for _ in range(4):
        await on.click()
        await page.wait_for_function("document.querySelector('.walk-at').textContent === '1/1'")
        await playground.fresh()
    await at(page, 1, 1, "support → V top")
    await expect(on).to_have_attribute("aria-disabled", "true")
    # What the reader points at ends the walk.
    await playground.cell("scores", 0, 1).click()
    await expect(page.locator(".walk-at")).to_have_text("")
    assert await marked(page) == set()
    await recorded.assert_clean()


async def walk_one_cell(playground: Playground) -> int:
    """Walk to the end of a cell; every stop has one line and at least one cell."""
    page = playground.page
    await page.locator("#walk-on").click()
    text = await page.locator(".walk-at").inner_text()
    count = int(text.split("/")[1])
    for number in range(1, count + 1):
        await expect(page.locator(".walk-at")).to_have_text(f"{number}/{count}")
        await expect(page.locator("[data-walking]")).to_have_count(1)
        assert await marked(page), number
        if number < count:
            await page.locator("#walk-on").click()
    return count


@pytest.mark.soak
@pytest.mark.parametrize("select", ["#score-model", "#normalizer"])
async def test_every_score_model_and_normalizer_is_walked(open_page: OpenPage, server: Server, select: str) -> None:
    recorded, playground = await opened(open_page, server.url)
    for name in SCORE_MODELS if select == "#score-model" else NORMALIZERS:
        await playground.choose(select, name)
        await expect(recorded.page.locator("#explain")).not_to_have_attribute("data-state", "pending")
        lines = await recorded.page.locator("#explain-steps [data-step]").count()
        terms = await recorded.page.locator("#explain-terms tbody tr").count()
        assert await walk_one_cell(playground) == lines + (terms if terms <= 8 else 1), name
        await recorded.page.keyboard.press("Escape")
    await recorded.assert_clean()
