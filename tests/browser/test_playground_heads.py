"""Heads and batch rows: pasted, seen at a glance, ordered, and opened one by one."""

import json
import random
import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.links import read
from tests.browser.playground import Playground, assert_shown, opened
from tests.oracle import attention
from tests.server import Server

pytestmark = pytest.mark.browser

B, HQ, HK, LQ, LK, D = 2, 4, 2, 3, 5, 2

CARDS = ".heads-list button"


def tensor(generator: random.Random, *shape: int) -> Any:
    """Nested lists of numbers with two decimals."""
    if not shape:
        return round(generator.uniform(-4, 4), 2)
    return [tensor(generator, *shape[1:]) for _ in range(shape[0])]


def grouped() -> dict[str, Any]:
    """Two batch rows of four query heads, of which two share a head of keys."""
    generator = random.Random(5)
    return {
        "query": tensor(generator, B, HQ, LQ, D),
        "key": tensor(generator, 1, HK, LK, D),
        "value": tensor(generator, 1, HK, LK, 3),
        "mask": {"key_lengths": [LK, 3]},
        "position": "alibi",
    }


def expected(request: dict[str, Any]) -> dict[str, Any]:
    return attention({**request, "include": ["scores", "weights", "output", "diagnostics"]})


async def shown(playground: Playground, request: dict[str, Any]) -> None:
    """Paste a request and open the view of heads."""
    await playground.paste("query", json.dumps(request))
    await playground.page.locator("#tab-heads").click()


async def order(page: Page) -> list[int]:
    return [int(one) for one in await page.locator(CARDS).evaluate_all("all => all.map((one) => one.dataset.slice)")]


async def test_grouped_heads_of_two_batch_rows_are_shown_and_ordered(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    page = recorded.page
    await shown(playground, grouped())
    await expect(page.locator(CARDS)).to_have_count(B * HQ)
    await expect(page.locator(CARDS).nth(HQ + 1)).to_contain_text("row 2, head 2")
    entropies = [sum(map(float, rows)) / LQ for row in expected(grouped())["diagnostics"]["entropy"] for rows in row]
    for card, entropy in enumerate(entropies):
        text = await page.locator(CARDS).nth(card).inner_text()
        assert abs(float(re.search(r"entropy ([\d.]+)", text)[1]) - entropy) <= 0.00501  # type: ignore[index]
    await page.locator(".heads-choice select").first.select_option("sharp")
    assert await order(page) == sorted(range(B * HQ), key=lambda card: entropies[card])
    await page.locator(".heads-choice select").first.select_option("flat")
    assert await order(page) == sorted(range(B * HQ), key=lambda card: -entropies[card])
    await recorded.assert_clean()


@pytest.mark.soak
async def test_a_head_is_opened_with_the_keyboard_without_another_request(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    page = recorded.page
    await shown(playground, grouped())
    await expect(page.locator(CARDS)).to_have_count(B * HQ)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/v1/attention") else None)
    await page.locator(CARDS).first.focus()
    for _ in range(HQ + 2):
        await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Enter")
    await expect(page.locator("#tab-maps")).to_be_focused()
    await expect(page.locator("#batch option:checked")).to_have_text("row 2, head 3")
    await playground.fresh()
    numbers = expected(grouped())
    for stage in ("scores", "weights", "output"):
        for texts, row in zip(await playground.texts(stage), numbers[stage][1][2], strict=True):
            for text, number in zip(texts, row, strict=True):
                assert_shown(text, None if number is None else float(number), len(row))
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await playground.explained("ALiBi")
    assert asked == []
    # The link opens the same head.
    await page.wait_for_url(lambda url: "#2." in url and read(url).get("b") == HQ + 2)
    again = await open_page(page.url, locale="en-GB")
    reopened = Playground(again.page)
    await reopened.fresh()
    await expect(again.page.locator("#batch option:checked")).to_have_text("row 2, head 3")
    assert await reopened.texts("weights") == await playground.texts("weights")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_features_are_split_into_heads_and_packed_again(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    page = recorded.page
    generator = random.Random(7)
    packed = {"query": tensor(generator, 3, 8), "key": tensor(generator, 4, 8), "value": tensor(generator, 4, 2)}
    await playground.paste("query", json.dumps(packed))
    await playground.fresh()
    before = await playground.texts("weights")
    await page.locator("#further-title").click()
    await page.locator("#heads-query").fill("3")
    await expect(playground.error("heads/query")).to_contain_text("divisible")
    await page.locator("#heads-query").fill("2")
    await expect(page.locator("#batch option")).to_have_count(2)
    await playground.fresh()
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await expect(page.locator("#heads-key")).to_have_value("2")
    assert await playground.texts("weights") != before
    await page.locator("#undo").click()
    await expect(page.locator("#heads-query")).to_have_value("1")
    await playground.fresh()
    assert await playground.texts("weights") == before
    await recorded.assert_clean()
