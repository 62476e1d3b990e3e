"""The advanced fold: soft cap, bias, positions, cache and types of numbers are sent, checked, shared and undone."""

import json
import random
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.links import read
from tests.browser.playground import Playground, assert_shown, opened
from tests.browser.test_playground_formulas import Questions, field
from tests.browser.test_playground_heads import tensor
from tests.oracle import attention
from tests.server import Server

pytestmark = pytest.mark.browser

STAGES = ("scores", "weights", "output")

CASES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "softcap": ({"softcap": "2"}, {"softcap": 2}),
    "bias in rows": (
        {"bias": "0, −1, 2.5, null; -inf 0 1 0.5"},
        {"bias": [[0, -1, 2.5, None], [None, 0, 1, 0.5]]},
    ),
    "bias as JSON": ({"bias": "[[0.5], [null]]"}, {"bias": [[0.5], [None]]}),
    "ALiBi": ({"position/name": '"alibi"', "position/slopes": "0.5"}, {"position": {"name": "alibi", "slopes": 0.5}}),
    "rotary": (
        {"position/name": '"rotary"', "position/base": "100", "position/dims": "2", "position/interleaved": "true"},
        {"position": {"name": "rotary", "base": 100, "dims": 2, "interleaved": True}},
    ),
    "rotary at positions": (
        {"position/name": '"rotary"', "positions/query": "5, 3"},
        {"position": {"name": "rotary"}, "positions": {"query": [5, 3]}},
    ),
    "float16": ({"dtype": '"float16"'}, {"dtype": "float16"}),
}
"""Texts for fields, and what the service is sent for them."""


async def fill(page: Page, fields: dict[str, str]) -> None:
    for place, text in fields.items():
        target = field(page, place)
        if await target.evaluate("target => target.tagName") == "SELECT":
            await target.select_option(text or "null")
        else:
            await target.fill(text)


async def assert_right(playground: Playground, request: dict[str, Any]) -> None:
    """What the page shows is what the definitions say."""
    numbers = attention(request)
    for stage in STAGES:
        for texts, row in zip(await playground.texts(stage), numbers[stage], strict=True):
            for text, number in zip(texts, row, strict=True):
                assert_shown(text, None if number is None else float(number), len(row))


async def emptied(page: Page, fields: dict[str, str]) -> None:
    await fill(page, dict.fromkeys(reversed(fields), ""))


async def test_fields_are_sent_and_checked(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    questions = Questions(recorded.page)
    await recorded.page.locator("#further-title").click()
    for case, (fields, sent) in CASES.items():
        await fill(recorded.page, fields)
        await playground.fresh()
        assert {name: questions.asked[-1].get(name) for name in sent} == sent
        if case == "float16":
            # Numbers in JSON are the shortest that are read back as the same float16.
            await expect(playground.verification).to_contain_text("float16")
        else:
            await assert_right(playground, questions.asked[-1])
            await expect(playground.verification).to_have_attribute("data-state", "match")
        await emptied(recorded.page, fields)
    await recorded.assert_clean()


@pytest.mark.soak
@pytest.mark.parametrize("case", CASES)
async def test_fields_are_shared_and_undone(open_page: OpenPage, server: Server, case: str) -> None:
    recorded, playground = await opened(open_page, server.url)
    page = recorded.page
    before = await playground.texts("weights")
    fields, _ = CASES[case]
    await page.locator("#further-title").click()
    await fill(page, fields)
    await playground.fresh()
    await page.wait_for_url(lambda url: "#2." in url and len(read(url)["x"]) == len(fields))
    again = await open_page(page.url, locale="en-GB")
    reopened = Playground(again.page)
    await reopened.fresh()
    assert await reopened.texts("weights") == await playground.texts("weights")
    await expect(again.page.locator("#further")).to_have_attribute("open", "")
    while await page.locator("#undo").is_enabled():
        await page.locator("#undo").click()
    await playground.fresh()
    assert await playground.texts("weights") == before
    await recorded.assert_clean()


@pytest.mark.soak
async def test_keys_from_a_cache_stand_before_the_queries(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    questions = Questions(recorded.page)
    await recorded.page.locator("#further-title").click()
    await field(recorded.page, "past_key").fill("2")
    await playground.choose("#mask-kind", "causal")
    request = questions.asked[-1]
    assert [len(request[name]) for name in ("past_key", "past_value", "key", "value")] == [2, 2, 2, 2]
    assert await playground.texts("mask") == [["✓", "✓", "✓", "×"], ["✓", "✓", "✓", "✓"]]
    await assert_right(playground, request)
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await recorded.assert_clean()


REFUSED = {
    "bias": ("1, 2; 3, 4", "broadcast"),
    "position/dims": ("3", "even"),
    "position/slopes": ("1, 2, 3", "Send one number"),
}
"""What the service does not accept in each field, and a word of its reason."""

UNREADABLE = {
    "softcap": ("0", "not a number above 0"),
    "bias": ("1, 2; 3", "nested lists"),
    "past_key": ("1.5", "whole number"),
}
"""What the page itself does not understand, and what it says."""


@pytest.mark.soak
async def test_what_is_wrong_is_said_beside_its_field(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    page = recorded.page
    await page.locator("#further-title").click()
    for place, (text, reason) in REFUSED.items():
        kind = {"position/dims": '"rotary"', "position/slopes": '"alibi"'}.get(place, "null")
        await field(page, "position/name").select_option(kind)
        await field(page, place).fill(text)
        await expect(playground.error(place)).to_contain_text(reason)
        await field(page, place).fill("")
        await playground.fresh()
    for place, (text, reason) in UNREADABLE.items():
        await field(page, place).fill(text)
        await expect(playground.error(place)).to_contain_text(reason)
    await playground.choose("#example", "causal")
    for place in UNREADABLE:
        await expect(playground.error(place)).to_be_hidden()
        await expect(field(page, place)).to_have_value("")
    await recorded.assert_clean(*["422"] * len(REFUSED))


def forms() -> dict[str, dict[str, Any]]:
    """The same kinds of request as other programs write them."""
    generator = random.Random(11)
    return {
        "packed heads": {
            "query": tensor(generator, 1, 3, 8),
            "key": tensor(generator, 1, 4, 4),
            "value": tensor(generator, 1, 4, 6),
            "heads": {"query": 4, "key_value": 2},
        },
        "heads third": {
            "query": tensor(generator, 1, 3, 2, 4),
            "key": tensor(generator, 1, 5, 2, 4),
            "value": tensor(generator, 1, 5, 2, 3),
            "layout": "bshd",
            "bias": tensor(generator, 2, 3, 5),
            "softcap": 3,
        },
        "a cache": {
            "query": tensor(generator, 1, 2, 2, 4),
            "key": tensor(generator, 1, 2, 2, 4),
            "value": tensor(generator, 1, 2, 2, 3),
            "past_key": tensor(generator, 1, 2, 3, 4),
            "past_value": tensor(generator, 1, 2, 3, 3),
            "mask": {"causal": True},
            "position": "rotary",
        },
    }


@pytest.mark.soak
async def test_requests_with_heads_are_pasted_as_they_are(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    for request in forms().values():
        await playground.paste("query", json.dumps(request))
        await playground.fresh()
        await recorded.page.locator("#batch").select_option("1")
        await playground.fresh()
        weights = attention(request)["weights"][0][1]
        for texts, row in zip(await playground.texts("weights"), weights, strict=True):
            for text, number in zip(texts, row, strict=True):
                assert_shown(text, float(number), len(row))
        await expect(playground.verification).to_have_attribute("data-state", "match")
    await recorded.assert_clean()
