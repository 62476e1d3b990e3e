"""The largest matrix that the playground draws."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import opened
from tests.browser.test_playground_overview import drawn, find
from tests.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.soak]


async def test_one_cell_of_4096_by_4096_is_found(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    page = recorded.page
    await page.locator("#tab-overview").click()
    await drawn(page, 1024)
    for name in ("queries", "keys"):
        await page.locator(f'[data-option="{name}"]').fill("4096")
        await page.keyboard.press("Tab")
    await drawn(page, 4096)
    assert 0 < await find(page, 3999, 17) < 1
    await expect(page.locator(".overview-value")).to_contain_text("query 4000 → key 18")
    await recorded.assert_clean()
