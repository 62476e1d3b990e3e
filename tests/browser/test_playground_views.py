"""The tabs above the maps: an open one stays open with other numbers, and travels in links."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.links import read
from tests.browser.playground import LOCALES, opened
from tests.server import Server

pytestmark = pytest.mark.browser


async def test_a_tab_is_opened_by_mouse_and_by_keyboard(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    maps, table = recorded.page.locator("#view-maps"), recorded.page.locator("#view-other .plain")
    await recorded.page.locator("#tab-table").click()
    await expect(table.first).to_be_visible()
    await expect(maps).to_be_hidden()
    await recorded.page.keyboard.press("Home")
    await expect(maps).to_be_visible()
    await recorded.page.keyboard.press("End")
    await expect(recorded.page.locator('#views [aria-selected="true"]')).to_be_focused()
    await expect(maps).to_be_hidden()
    await recorded.assert_clean()


@pytest.mark.parametrize("language", LOCALES)
async def test_the_tabs_stand_in_one_line(open_page: OpenPage, server: Server, language: str) -> None:
    recorded, _ = await opened(open_page, server.url, language)
    page, tabs = recorded.page, recorded.page.locator("#views [role=tab]")
    for index in range(await tabs.count()):
        await tabs.nth(index).click()
        await expect(tabs.nth(index)).to_have_attribute("aria-selected", "true")
        assert await tabs.evaluate_all("all => new Set(all.map(({offsetTop}) => offsetTop)).size") == 1
    await page.set_viewport_size({"width": 360, "height": 900})
    assert await tabs.evaluate_all("all => Math.max(...all.map((tab) => tab.getBoundingClientRect().right))") <= 360
    await recorded.assert_fits()
    await recorded.assert_clean()


async def test_an_open_tab_stays_open_and_travels(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url, "zh")
    await recorded.page.locator("#tab-table").click()
    table = recorded.page.locator("#view-other table", has_text="权重")
    await expect(table.locator("td").nth(1)).to_have_text("0.7016690736051048")
    await recorded.page.locator("#example").select_option("additive")
    await expect(table.locator("td").nth(1)).not_to_have_text("0.7016690736051048")
    await playground.type_into("key", 0, 0, "0.25")
    await recorded.page.locator("#undo").click()
    await playground.fresh()
    await expect(table).to_be_visible()
    shown = await table.inner_text()
    await recorded.page.wait_for_url(lambda url: "#2." in url and read(url)["k"][0][0][0] == 1.9)
    again = await open_page(recorded.page.url, locale="zh-CN")
    await expect(again.page.locator("#view-other table", has_text="权重")).to_have_text(shown, use_inner_text=True)
    await recorded.assert_clean()
