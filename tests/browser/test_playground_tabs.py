"""A grid is one Tab stop and so are its buttons: the score model is a few Tabs away, however large the matrices are."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import Playground, opened
from tests.server import Server

pytestmark = pytest.mark.browser

MAX_TABS_TO_THE_SCORE_MODEL = 19

STOPS = "grid => [...grid.querySelectorAll('input')].filter((field) => field.tabIndex === 0).length"


async def tabs_to(playground: Playground, selector: str) -> int:
    for count in range(1, 100):
        await playground.page.keyboard.press("Tab")
        if await playground.page.locator(f"{selector}:focus").count():
            return count
    raise AssertionError(f"{selector} is not within 100 Tabs")


async def test_the_score_model_is_a_few_tabs_away_and_the_way_back_ends_where_one_was(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    assert await tabs_to(playground, "#score-model") <= MAX_TABS_TO_THE_SCORE_MODEL
    await playground.field("key", 1, 1).focus()
    await recorded.page.keyboard.press("ArrowDown")
    await recorded.page.keyboard.press("ArrowRight")
    await expect(playground.field("key", 2, 2)).to_be_focused()
    await recorded.page.keyboard.press("Tab")
    await expect(recorded.page.locator("#tensor-value [data-tool=remove-row]")).to_be_focused()
    await recorded.page.keyboard.press("Shift+Tab")
    await expect(playground.field("key", 2, 2)).to_be_focused()
    assert await recorded.page.locator("#inputs table").evaluate_all(f"all => all.map({STOPS})") == [1, 1, 1]
    await recorded.assert_clean()


@pytest.mark.soak
async def test_buttons_of_a_grid_are_one_stop_and_one_that_can_not_be_pressed_is_none(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    fewer, more = (recorded.page.locator(f"#tensor-query [data-tool={name}-row]") for name in ("remove", "insert"))
    await playground.tab_to(fewer)
    await recorded.page.keyboard.press("Enter")
    await playground.fresh()
    # One row is left: the button is disabled, and the focus is at the next instead of nowhere.
    await expect(fewer).to_be_disabled()
    await expect(more).to_be_focused()
    for key in ("ArrowLeft", "ArrowRight"):
        await recorded.page.keyboard.press(key)
    await expect(more).to_be_focused()
    await recorded.page.keyboard.press("Shift+Tab")
    await recorded.page.keyboard.press("Tab")
    await expect(more).to_be_focused()
    await playground.paste("query", "\n".join("\t".join("1" for _ in range(30)) for _ in range(30)))
    assert await recorded.page.locator("#tensor-query table").evaluate(STOPS) == 1
    await recorded.assert_fits()


@pytest.mark.soak
async def test_grids_of_parameters_are_one_stop_each(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.choose("#score-model", "additive")
    grids = recorded.page.locator("#score-model-parameters table:visible")
    stops = await grids.evaluate_all(f"all => all.map({STOPS})")
    assert stops
    assert set(stops) == {1}
