"""With a finger: the first tap on a cell explains it, and nothing is masked before the second."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import opened
from tests.server import Server

pytestmark = pytest.mark.browser


async def test_the_first_tap_on_a_weight_explains_it_and_the_second_masks_it(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url, width=360, has_touch=True, is_mobile=True)
    # The first of them is the one that the page opens with.
    cells = ((0, 0, "team fight → marksman"), (0, 1, "team fight → jungler"), (1, 2, "dragon up → mid"))
    for row, key, pair in cells:
        await playground.cell("weights", row, key).tap()
        await expect(recorded.page.locator("#explain-pair")).to_have_text(pair)
        await playground.fresh()
        assert (await playground.texts("mask"))[row][key] == "✓"
        await playground.cell("weights", row, key).tap()
        await expect(playground.cell("mask", row, key)).to_have_text("×")
        await playground.fresh()
    # A third tap shows the key again; a tap elsewhere in between explains first.
    await playground.cell("weights", 1, 2).tap()
    await expect(playground.cell("mask", 1, 2)).to_have_text("✓")
    await playground.fresh()
    await playground.cell("scores", 0, 3).tap()
    await playground.cell("weights", 1, 2).tap()
    await expect(recorded.page.locator("#explain-pair")).to_have_text("dragon up → mid")
    await playground.fresh()
    assert (await playground.texts("mask"))[1][2] == "✓"
    await expect(recorded.page.locator(".hint.for-touch")).to_contain_text("Tap a cell")
    await expect(recorded.page.locator(".hint.for-mouse")).to_be_hidden()
    await recorded.assert_clean()


async def test_a_tap_is_one_where_a_click_does_not_say_what_pressed(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url, has_touch=True)
    await recorded.page.evaluate(
        "addEventListener('click', (event) => Object.defineProperty(event, 'pointerType', { value: undefined }), true)"
    )
    await playground.cell("weights", 1, 2).tap()
    await expect(recorded.page.locator("#explain-pair")).to_have_text("dragon up → mid")
    await playground.fresh()
    assert (await playground.texts("mask"))[1][2] == "✓"
    await playground.cell("weights", 1, 2).tap()
    await expect(playground.cell("mask", 1, 2)).to_have_text("×")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_a_score_is_explained_and_a_mask_cell_masks_at_the_first_tap(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url, has_touch=True)
    await playground.cell("scores", 1, 3).tap()
    await expect(recorded.page.locator("#explain-pair")).to_have_text("dragon up → top")
    assert (await playground.texts("mask"))[1] == ["✓"] * 4
    await playground.cell("mask", 1, 3).tap()
    await expect(playground.cell("mask", 1, 3)).to_have_text("×")
    # A heading masks for all queries, whatever was explained before.
    await playground.cell("weights", -1, 0).tap()
    await expect(playground.cell("mask", 1, 0)).to_have_text("×")
    await playground.fresh()
    assert [row[0] for row in await playground.texts("mask")] == ["×", "×"]
    await recorded.assert_clean()
