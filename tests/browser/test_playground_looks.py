"""What a person sees: it fits, light and dark can be read, enlarging loses nothing, and motion can be refused."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.contrast import assert_readable
from tests.browser.playground import LOCALES, opened
from tests.server import Server

pytestmark = pytest.mark.browser


@pytest.mark.soak
@pytest.mark.parametrize("examples", [("why-sqrt-d", "additive"), ("seed-proportional", "fully-masked")])
@pytest.mark.parametrize("language", LOCALES)
async def test_it_fits_and_can_be_read_in_the_light_and_in_the_dark(
    open_page: OpenPage, server: Server, language: str, examples: tuple[str, ...]
) -> None:
    recorded, playground = await opened(open_page, server.url, language, colour_scheme="dark")
    await playground.explained("0.701669")
    await playground.cell("mask", 0, 1).click()
    await playground.fresh()
    for example in (None, *examples):
        if example:
            await playground.choose("#example", example)
        for scheme in ("light", "dark"):
            await recorded.page.emulate_media(color_scheme=scheme)
            await recorded.settle()
            await assert_readable(recorded.page, dark=scheme == "dark")
    await recorded.assert_fits()
    await recorded.page.set_viewport_size({"width": 1280, "height": 900})

    # The button decides against the system, until it is pressed again.
    for theme, dark in (("light", False), ("dark", True)):
        await recorded.page.locator("#theme").click()
        await expect(recorded.page.locator("html")).to_have_attribute("data-theme", theme)
        await recorded.settle()
        await recorded.page.mouse.move(0, 0)
        await assert_readable(recorded.page, dark=dark)
    await recorded.assert_clean()


async def test_the_opening_view_is_one_screen(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    for part in ("#tensor-query", "#tensor-value", "#normalizer", "#mask-kind", "#verification", "#explain-number"):
        await expect(recorded.page.locator(part)).to_be_in_viewport(ratio=1)
    for stage in ("scores", "mask", "weights", "output"):
        await expect(playground.map(stage)).to_be_in_viewport(ratio=1)
    heights = await recorded.page.evaluate("[document.documentElement.scrollHeight, innerHeight]")
    assert heights[0] == heights[1]


@pytest.mark.soak
async def test_at_twice_the_size_nothing_is_lost(open_page: OpenPage, server: Server) -> None:
    """Zooming to 200 % halves the width that the page has."""
    recorded, playground = await opened(open_page, server.url, width=640, device_scale_factor=2)
    assert await recorded.page.evaluate("document.documentElement.scrollWidth") <= 640
    await recorded.page.locator("#sheet").click()
    for part in ("#share", "#docs", "#mask-kind", "#verification", "#explain-compared"):
        await recorded.page.locator(part).scroll_into_view_if_needed()
        await expect(recorded.page.locator(part)).to_be_in_viewport(ratio=1)
    # Text alone may also be enlarged.
    await recorded.page.evaluate("document.documentElement.style.setProperty('font-size', '200%')")
    assert await recorded.page.evaluate("document.documentElement.scrollWidth") <= 640
    await playground.type_into("query", 0, 0, "1")
    await recorded.assert_clean()


MOTION = """
() => [...document.querySelectorAll("*")].map((element) => getComputedStyle(element))
  .filter((style) => style.transitionDuration !== "0s" && style.transitionProperty !== "none").length
"""


@pytest.mark.soak
async def test_motion_can_be_refused(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    assert await recorded.page.evaluate(MOTION) > 0
    await recorded.page.emulate_media(reduced_motion="reduce")
    assert await recorded.page.evaluate(MOTION) == 0


@pytest.mark.soak
async def test_masked_cells_are_marked_by_more_than_colour(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.choose("#example", "marksman-masked")
    for stage in ("scores", "weights"):
        style = await playground.cell(stage, 0, 0).evaluate(
            "cell => [getComputedStyle(cell).backgroundImage, getComputedStyle(cell, '::after').content]"
        )
        assert "repeating-linear-gradient" in style[0]
        assert style[1] == '"×"'
        seen = await playground.cell(stage, 0, 1).evaluate("cell => getComputedStyle(cell).backgroundImage")
        assert seen == "none"
        assert "masked" in (await playground.labels(stage))[0][0]
        assert "masked" not in (await playground.labels(stage))[0][1]
    await recorded.assert_clean()
