"""On a phone the explanation is a sheet at the foot of the page: folded it holds the number, unfolded its steps."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import opened
from tests.server import Server

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize(("language", "pair"), [("en", "dragon up → jungler"), ("zh", "抢龙 → 打野")])
async def test_a_tap_shows_its_number_where_one_looks(
    open_page: OpenPage, server: Server, language: str, pair: str
) -> None:
    recorded, playground = await opened(open_page, server.url, language, **PHONE)
    page = recorded.page
    cell = playground.cell("weights", 1, 1)
    await cell.tap()
    await expect(page.locator("#explain-pair")).to_have_text(pair)
    for part in (cell, page.locator("#explain-pair"), page.locator("#explain-number")):
        await expect(part).to_be_in_viewport(ratio=1)
    steps = page.locator("#explain-steps")
    await expect(steps).to_be_hidden()
    button = page.locator("#sheet")
    await expect(button).to_have_attribute("aria-expanded", "false")
    await button.tap()
    await expect(button).to_have_attribute("aria-expanded", "true")
    await expect(steps.locator("li").first).to_be_in_viewport(ratio=1)
    box = await page.locator("#explain").bounding_box()
    size = page.viewport_size
    assert box is not None
    assert size is not None
    assert box["height"] <= 0.75 * size["height"] + 1
    await button.press("Enter")
    await expect(steps).to_be_hidden()
    await recorded.assert_clean()


async def test_the_sheet_covers_nothing_that_is_reached_by_keys(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url, width=600)
    await playground.field("key", 0, 0).focus()
    sheet = recorded.page.locator("#explain")
    for _ in range(30):
        await recorded.page.keyboard.press("Tab")
        covered = await sheet.evaluate(
            """(sheet) => {
              const [own, focused] = [sheet, document.activeElement].map((each) => each.getBoundingClientRect());
              return !sheet.contains(document.activeElement) && focused.bottom > own.top && focused.top >= own.top;
            }"""
        )
        assert not covered
    await recorded.assert_clean()


async def test_a_wide_page_has_no_sheet(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    await expect(recorded.page.locator("#sheet")).to_be_hidden()
    await expect(recorded.page.locator("#explain-steps li").first).to_be_visible()
    await recorded.assert_clean()
