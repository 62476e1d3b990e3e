"""The records themselves: a clean page proves nothing unless an unclean one is caught."""

import pytest

from tests.browser.conftest import OpenPage, RecordedPage
from tests.server import Server

pytestmark = pytest.mark.browser

ELSEWHERE = "http://elsewhere.invalid"


@pytest.fixture
async def page_here(open_page: OpenPage, server: Server) -> RecordedPage:
    return await open_page(f"{server.url}/problems/internal")


async def test_a_clean_page_is_clean(page_here: RecordedPage) -> None:
    await page_here.assert_clean()
    assert any(url.endswith(".css") for url in page_here.requests)


async def test_a_request_that_the_policy_forbids_is_a_violation(page_here: RecordedPage) -> None:
    await page_here.page.evaluate(f"fetch('{ELSEWHERE}/data').catch(() => null)")
    await page_here.settle()
    told_by_event = [text for text in page_here.violations if text.startswith("connect-src")]
    told_in_console = [text for text in page_here.violations if "Content Security Policy" in text]
    assert told_by_event == [f"connect-src {ELSEWHERE}/data :1"]
    assert told_in_console
    with pytest.raises(AssertionError):
        await page_here.assert_clean()


async def test_inline_style_is_a_violation(page_here: RecordedPage) -> None:
    await page_here.page.evaluate("document.body.setAttribute('style', 'color: red')")
    await page_here.settle()
    assert any(text.startswith("style-src-attr inline") for text in page_here.violations)


async def test_inline_script_is_a_violation_and_does_not_run(page_here: RecordedPage) -> None:
    await page_here.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'document.title = \"run\"'}))"
    )
    await page_here.settle()
    assert any(text.startswith("script-src-elem inline") for text in page_here.violations)
    assert await page_here.page.title() != "run"


async def test_a_navigation_elsewhere_is_refused_and_recorded(page_here: RecordedPage) -> None:
    async with page_here.page.expect_event("requestfailed"):
        await page_here.page.evaluate(f"location.assign('{ELSEWHERE}/')")
    assert page_here.foreign_requests == [f"{ELSEWHERE}/"]


async def test_a_socket_elsewhere_is_refused_and_recorded(open_page: OpenPage, server: Server) -> None:
    # /livez has no policy of its own, so nothing but the record stands between it and the socket.
    recorded = await open_page(f"{server.url}/livez")
    await recorded.page.evaluate(
        "new Promise((done) => new WebSocket('ws://elsewhere.invalid/').addEventListener('close', done))"
    )
    assert recorded.foreign_requests == ["ws://elsewhere.invalid/"]


async def test_an_exception_and_a_console_error_are_recorded(page_here: RecordedPage) -> None:
    await page_here.page.evaluate("setTimeout(() => { throw new Error('lost') }); console.error('noted')")
    await page_here.settle()
    assert len(page_here.page_errors) == 1
    assert "lost" in page_here.page_errors[0]
    assert page_here.console_errors == ["noted"]
