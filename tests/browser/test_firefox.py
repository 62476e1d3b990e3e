"""The playground in Firefox: its result is that of the oracle, and typing, dragging and the rest have their effects."""

import pytest

from service.examples import load_examples
from tests import oracle
from tests.browser.playground import number
from tests.browser.scripted_playground import OpenFirefox, opened
from tests.server import Server

pytestmark = pytest.mark.firefox

TITLES = {"zh": "注意力演练场", "en": "Attention playground"}


@pytest.mark.parametrize("language", ["zh"])
async def test_the_opening_result_is_that_of_the_oracle(
    open_firefox: OpenFirefox, server: Server, language: str
) -> None:
    playground = await opened(open_firefox, server.url, language)
    assert await playground.page.call("() => document.title") == TITLES[language]
    first, second = (load_examples()[name].request for name in ("honor-of-kings", "honor-of-kings-dragon"))
    expected = oracle.attention(first | {"query": first["query"] + second["query"]})
    shown = await playground.exact()
    for table, name in zip(shown, ("scores", "weights", "output"), strict=True):
        for row, exact in zip(table, expected[name], strict=True):
            assert row == pytest.approx(exact, rel=1e-15, abs=1e-15)
    await playground.page.assert_clean()


async def test_typing_dragging_and_pasting_can_be_undone(open_firefox: OpenFirefox, server: Server) -> None:
    playground = await opened(open_firefox, server.url)
    page, first = playground.page, playground.field("query", 0, 0)
    opening = await playground.texts("weights")
    await page.click(playground.field("key", 1, 1))
    await page.press("Control+a", "3")
    await page.until_value(playground.field("key", 1, 1), "3")
    await playground.fresh("match")
    typed = await playground.texts("weights")
    assert typed != opening

    seen: list[float] = []

    async def look() -> None:
        shown = "([selector, last]) => document.querySelector(selector).textContent !== last"
        last = f"{seen[-1]:.4f}" if seen else typed[0][0]
        await page.until(shown, [playground.cell("weights", 0, 0), last])
        seen.append(number((await playground.texts("weights"))[0][0]))

    asked = len(page.requests)
    await page.drag(first, 60, 5, look)
    assert seen == sorted(seen)
    assert await playground.value(first) == "4"
    await playground.fresh("match")
    assert len([url for url in page.requests[asked:] if url.endswith("/v1/attention")]) == 1
    dragged = await playground.texts("weights")

    await playground.paste("query", "[[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 1, 0]]")
    await page.until_text(playground.cell("weights", 2, 0), "0.")
    await playground.fresh("match")
    assert len(await playground.texts("weights")) == 3
    for before in (dragged, typed, opening):
        await page.click("#undo")
        await playground.fresh("match")
        assert await playground.texts("weights") == before
    await page.press("Control+y")
    await playground.fresh("match")
    assert await playground.texts("weights") == typed
    await page.assert_clean()


@pytest.mark.soak
async def test_the_maps_follow_keys_and_a_finger(open_firefox: OpenFirefox, server: Server) -> None:
    playground = await opened(open_firefox, server.url)
    page = playground.page
    await page.click(playground.cell("scores", 0, 0))
    await page.press("ArrowRight", "ArrowDown")
    await page.until_text("#explain-pair", "dragon up → jungler")
    await page.press("Escape")
    # The first tap explains a weight, the second masks its key.
    await page.tap(playground.cell("weights", 1, 2))
    await page.until_text("#explain-pair", "dragon up → mid")
    await playground.fresh("match")
    assert (await playground.texts("mask"))[1][2] == "✓"
    await page.tap(playground.cell("weights", 1, 2))
    await page.until_text(playground.cell("mask", 1, 2), "×")
    await playground.fresh("match")
    await page.assert_clean()


@pytest.mark.soak
async def test_a_link_and_the_open_tab_travel(open_firefox: OpenFirefox, server: Server) -> None:
    playground = await opened(open_firefox, server.url)
    page = playground.page
    await page.choose("#score-model", "additive")
    await playground.fresh("match")
    await page.choose("#normalizer", "sparsemax")
    await playground.fresh("match")
    numbers = await playground.exact()
    await page.press("End")
    await page.until("() => document.querySelector('#tab-maps').ariaSelected === 'false'")
    await page.press("Home")
    await page.until("() => document.querySelector('#tab-maps').ariaSelected === 'true'")
    await page.click("#share")
    await page.until("() => location.hash.length > 10")
    link = await page.call("() => location.href")

    again = await opened(lambda _, **options: open_firefox(link, **options), server.url, "zh")
    assert await again.exact() == numbers
    for select, chosen in (("#score-model", "additive"), ("#normalizer", "sparsemax")):
        await again.page.until_value(select, chosen)
    await again.page.assert_clean()
    await page.assert_clean()


async def test_the_records_of_a_page_catch_what_is_unclean(open_firefox: OpenFirefox, server: Server) -> None:
    page = await open_firefox(f"{server.url}/problems/internal")
    await page.assert_clean()
    for unclean, kept, caught in (
        ("() => document.body.setAttribute('style', 'color: red')", page.violations, "style-src-attr inline"),
        ("() => { fetch('http://elsewhere.invalid/').catch(() => null); }", page.violations, "connect-src http://else"),
        ("() => console.error('that is wrong')", page.console_errors, "that is wrong"),
        ("() => { setTimeout(() => { throw new Error('late'); }); }", page.console_errors, "late"),
    ):
        page.violations.clear()
        page.console_errors.clear()
        await page.call(unclean)
        with pytest.raises(AssertionError):
            await page.assert_clean()
        assert any(caught in text for text in kept), kept
