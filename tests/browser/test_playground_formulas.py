"""Score modifier, mask formula, positions, prefix and keys are written in the playground, and sent as written."""

import json
import re
from typing import Any

import pytest
from playwright.async_api import Page, Request, expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import Playground, opened
from tests.browser.test_playground_share import read
from tests.server import Server

pytestmark = pytest.mark.browser

ATTENTION = re.compile(r"/v1/attention$")

WRITTEN = {
    "score_modifier/formula": "score - slope * abs(p - j)",
    "score_modifier/parameters": '{"slope": 0.5, "tau": 2}',
    "mask/formula": "j <= p and p - j < reach",
    "mask/parameters": '{"reach": 3, "slope": 1}',
    "mask/prefix_lengths": "1",
    "mask/key_allowed": "1, 1, 0, true",
    "positions/query": "[2, 3]",
    "positions/key": "0 1，2、3",
}
"""What a person writes into each field."""

SENT = {
    "score_modifier": {"formula": "score - slope * abs(p - j)", "parameters": {"slope": 0.5}},
    "mask": {
        "formula": "j <= p and p - j < reach",
        "parameters": {"reach": 3},
        "prefix_lengths": [1],
        "key_allowed": [True, True, False, True],
    },
    "positions": {"query": [2, 3], "key": [0, 1, 2, 3]},
}
"""What the service is sent for it: of the parameters those that their formula names."""

VISIBLE = [["✓", "✓", "×", "×"], ["×", "✓", "×", "✓"]]


def field(page: Page, place: str) -> Any:
    return page.locator(f"#further-{place.replace('/', '-')}")


class Questions:
    """What the page asks the service."""

    def __init__(self, page: Page) -> None:
        self.asked: list[dict[str, Any]] = []
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if ATTENTION.search(request.url):
            self.asked.append(json.loads(request.post_data or "{}"))


async def written(open_page: OpenPage, url: str, language: str) -> tuple[Any, Playground, Questions]:
    recorded, playground = await opened(open_page, url, language)
    questions = Questions(recorded.page)
    await recorded.page.locator("#further-title").click()
    # A formula is refused until its parameters are written; nothing is asked while a field holds no numbers.
    await field(recorded.page, "positions/query").fill("later")
    await expect(playground.error("positions/query")).to_be_visible()
    for place, text in WRITTEN.items():
        await field(recorded.page, place).fill(text)
    await playground.fresh()
    await expect(playground.map("mask")).to_contain_text("×")
    return recorded, playground, questions


@pytest.mark.parametrize("language", [pytest.param("zh", marks=pytest.mark.soak), "en"])
async def test_what_is_written_is_sent_shown_and_shared(open_page: OpenPage, server: Server, language: str) -> None:
    recorded, playground, questions = await written(open_page, server.url, language)
    assert {name: questions.asked[-1].get(name) for name in SENT} == SENT
    assert await playground.texts("mask") == VISIBLE
    await expect(playground.verification).to_have_attribute("data-state", "unchecked")
    await recorded.page.wait_for_url(lambda url: "#2." in url and "positions/key" in read(url)["x"])
    again, reopened = await opened(open_page, server.url, language)
    await expect(again.page.locator("#further")).not_to_have_attribute("open", "")
    await again.page.goto("about:blank")
    await again.page.goto(recorded.page.url)
    await reopened.fresh()
    await expect(again.page.locator("#further")).to_have_attribute("open", "")
    for place in ("score_modifier/formula", "mask/formula"):
        await expect(field(again.page, place)).to_have_value(WRITTEN[place])
    await expect(field(again.page, "mask/key_allowed")).to_have_value("1, 1, 0, 1")
    await expect(field(again.page, "positions/key")).to_have_value("0, 1, 2, 3")
    assert await reopened.texts("weights") == await playground.texts("weights")
    assert await reopened.texts("mask") == VISIBLE
    await recorded.assert_clean()
    await again.assert_clean()


REFUSED = {
    "score_modifier/formula": ("score + bonus[j]", "bonus"),
    "mask/formula": ("j - p", "truth value"),
    "mask/prefix_lengths": ("5", "a length from 0 to 4"),
    "mask/key_allowed": ("1, 0", "one for each"),
    "positions/query": ("1, 2, 3", "one for each"),
    "positions/key": ("7", "position"),
}
"""What the service does not accept in each field, and a word of its reason."""

UNREADABLE = {
    "score_modifier/parameters": ("slope = 1", "is not a JSON object"),
    "mask/prefix_lengths": ("-1", "is not a whole number from 0 on"),
    "mask/key_allowed": ("yes", "is not a list of 1 and 0"),
    "positions/query": ("1.5, 2", "is not a list of whole numbers"),
}
"""What the page itself does not understand, and what it says."""


@pytest.mark.soak
async def test_what_is_wrong_is_said_beside_its_field(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    questions = Questions(recorded.page)
    await recorded.page.locator("#further-title").click()
    for place, (text, reason) in REFUSED.items():
        await field(recorded.page, place).fill(text)
        await expect(playground.error(place)).to_contain_text(reason)
        await expect(playground.notice("problem")).to_have_count(0)
        await expect(playground.results).to_have_attribute("data-state", "stale")
        await field(recorded.page, place).fill("")
        await playground.fresh()
        await expect(playground.error(place)).to_be_hidden()
    asked = len(questions.asked)
    for place, (text, reason) in UNREADABLE.items():
        await field(recorded.page, place).fill(text)
        await expect(playground.error(place)).to_contain_text(reason)
        await expect(field(recorded.page, place)).to_have_attribute("aria-invalid", "true")
    assert len(questions.asked) == asked
    await playground.choose("#example", "causal")
    for place in UNREADABLE:
        await expect(playground.error(place)).to_be_hidden()
        await expect(field(recorded.page, place)).to_have_value("")
    await recorded.assert_clean(*["422"] * len(REFUSED))


@pytest.mark.soak
async def test_prefix_keys_and_positions_agree_with_the_browser_and_become_single_cells(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    questions = Questions(recorded.page)
    await recorded.page.locator("#further-title").click()
    await playground.choose("#mask-kind", "causal")
    for place, text in {
        "mask/prefix_lengths": "2",
        "mask/key_allowed": "0, 1, 1, 1",
        "positions/query": "4, 6",
        "positions/key": "9, 9, 5, 4",
    }.items():
        await field(recorded.page, place).fill(text)
        await playground.fresh()
    shown = [["×", "✓", "×", "✓"], ["×", "✓", "✓", "✓"]]
    await expect(playground.cell("mask", 0, 3)).to_have_text("✓")
    assert await playground.texts("mask") == shown
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await playground.cell("mask", 1, 3).click()
    await playground.fresh()
    shown[1][3] = "×"
    assert await playground.texts("mask") == shown
    await expect(recorded.page.locator("#mask-kind")).to_have_value("custom")
    await expect(field(recorded.page, "mask/key_allowed")).to_have_value("")
    await expect(field(recorded.page, "mask/prefix_lengths")).to_have_value("")
    await playground.cell("mask", 0, 0).click()
    await playground.fresh()
    assert (await playground.texts("mask"))[0] == ["✓", "✓", "×", "✓"]
    assert questions.asked[-1]["mask"].keys() == {"allowed"}
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_lists_keep_up_with_rows_and_a_formula_stays_beside_single_cells(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    questions = Questions(recorded.page)
    page = recorded.page
    await page.locator("#further-title").click()
    await field(page, "mask/formula").fill("j <= p")
    await page.locator("#mask-offset").fill("1")
    await playground.fresh()
    await playground.cell("mask", 0, 0).click()
    await playground.fresh()
    assert await playground.texts("mask") == [["×", "✓", "×", "×"], ["✓", "✓", "✓", "×"]]
    assert questions.asked[-1]["mask"] == {
        "formula": "j <= p",
        "offset": 1,
        "allowed": [[False, True, True, True], [True] * 4],
    }
    await page.locator("#mask-offset").fill("")
    await field(page, "positions/query").fill("1, 3")
    await field(page, "mask/key_allowed").fill("1, 1, 1, 0")
    await playground.fresh()
    await page.locator('#tensor-query [data-tool="insert-row"]').click()
    await page.locator('#tensor-key [data-tool="insert-row"]').click()
    await expect(field(page, "positions/query")).to_have_value("1, 3, 4")
    await expect(field(page, "mask/key_allowed")).to_have_value("1, 1, 1, 0, 1")
    await playground.fresh()
    await page.locator('#tensor-query [data-tool="remove-row"]').click()
    await playground.fresh()
    assert len(questions.asked[-1]["positions"]["query"]) == 2
    await recorded.assert_clean()
