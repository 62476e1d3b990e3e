"""The rest of what the playground does, in Firefox: each score model and normalizer, each example, each width."""

import pytest

from service.examples import load_examples
from tests.browser.pairs import CHECK_PAIRS, agreeing, every_pair
from tests.browser.playground import LOCALES, STAGES
from tests.browser.scripted_playground import OpenFirefox, opened
from tests.server import Server

pytestmark = [pytest.mark.soak, pytest.mark.firefox]

WIDTHS = (360, 768, 1280, 1920)


async def test_the_browser_agrees_with_the_service_for_every_score_model_and_normalizer(
    open_firefox: OpenFirefox, server: Server
) -> None:
    playground = await opened(open_firefox, server.url)
    assert max(agreeing(await playground.page.call(CHECK_PAIRS, every_pair())).values()) < 1e-12
    await playground.page.assert_clean()


async def test_each_example_agrees_with_the_service(open_firefox: OpenFirefox, server: Server) -> None:
    playground = await opened(open_firefox, server.url, "zh")
    for name in load_examples():
        await playground.page.choose("#example", name)
        await playground.page.until_value("#example", name)
        await playground.fresh()
        state = await playground.page.call("() => document.querySelector('#verification').dataset.state")
        assert state == "match", name
    await playground.page.assert_clean()


@pytest.mark.parametrize("language", LOCALES)
@pytest.mark.parametrize("width", WIDTHS)
async def test_nothing_scrolls_the_page_sideways(
    open_firefox: OpenFirefox, server: Server, width: int, language: str
) -> None:
    playground = await opened(open_firefox, server.url, language, width=width)
    assert await playground.page.call("() => document.documentElement.scrollWidth") <= width
    for stage in STAGES:
        assert await playground.texts(stage)
    await playground.page.assert_clean()


@pytest.mark.parametrize("language", LOCALES)
async def test_documentation_loads_without_errors(open_firefox: OpenFirefox, server: Server, language: str) -> None:
    page = await open_firefox(f"{server.url}/docs", locale=LOCALES[language])
    await page.until("() => document.querySelectorAll('.opblock').length > 20")
    await page.assert_clean()
