"""Each step of the first tutorial opens in the playground with its numbers."""

import json
import re

import pytest

from development.generate import STEPS, TUTORIAL
from development.playground_links import PLAYGROUND
from tests.browser.conftest import OpenPage
from tests.browser.links import read
from tests.browser.playground import number, opened
from tests.promises.readme import ROOT, SUFFIXES, with_results
from tests.server import Server

MAX_SHOWN_ERROR = 1e-4
"""Of a weight with four decimals, on the page and in the playground."""

pytestmark = pytest.mark.browser


def links_of(page: str) -> list[str]:
    """The links to the playground, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"\]\(({re.escape(PLAYGROUND)}#[\w.-]+)\)", text)


def test_both_languages_have_the_same_links() -> None:
    english, chinese = (links_of(f"{TUTORIAL}{suffix}") for suffix in SUFFIXES.values())
    assert len(english) == len(STEPS)
    assert english == chinese


@pytest.mark.soak
async def test_a_step_opens_with_the_weights_that_the_page_shows(open_page: OpenPage, server: Server) -> None:
    page = f"{TUTORIAL}.md"
    recorded, playground = await opened(open_page, server.url)
    for link, (_, answer) in zip(links_of(page), with_results(page, "bash request"), strict=True):
        await recorded.page.goto("about:blank")
        await recorded.page.goto(server.url + link[len("http://127.0.0.1:8000") :])
        await playground.fresh()
        weights = json.loads(answer or "")["weights"]
        shown = [[number(text) for text in row] for row in await playground.texts("weights")]
        assert shown == [pytest.approx(row, abs=MAX_SHOWN_ERROR) for row in weights]
        assert [len(read(link)["k"][0]), len(read(link)["q"][0])] == [len(weights[0]), len(weights)]
    await recorded.assert_clean()
