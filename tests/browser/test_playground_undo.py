"""Undo in the fields of options: the focus stays, and a slider that keys have moved goes back in one step."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import opened
from tests.server import Server

pytestmark = pytest.mark.browser


async def test_undo_leaves_the_focus_in_the_field_of_a_parameter(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    sink = recorded.page.locator('[data-parameter="sink"]')
    await sink.fill("0.5")
    await playground.fresh()
    for keys, value in (("Control+z", ""), ("Control+y", "0.5")):
        await recorded.page.keyboard.press(keys)
        await expect(sink).to_have_value(value)
        await expect(sink).to_be_focused()
        await playground.fresh()
    # What cannot be read gives way to the numbers that undo brings back.
    await sink.fill("much")
    await expect(playground.error("normalizer/sink")).to_be_visible()
    await recorded.page.locator("#undo").click()
    await expect(sink).to_have_value("")
    await expect(playground.error("normalizer/sink")).to_be_hidden()
    await playground.fresh()
    await recorded.assert_clean()


@pytest.mark.soak
async def test_undo_leaves_the_focus_in_a_grid_of_parameters(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.choose("#score-model", "additive")
    field = recorded.page.locator('#score-model-parameters table [data-row="0"][data-column="1"]').first
    before = await field.input_value()
    await field.fill("7")
    await playground.fresh()
    await recorded.page.keyboard.press("Control+z")
    await expect(field).to_have_value(before)
    await expect(field).to_be_focused()
    await playground.fresh()
    size = recorded.page.locator('[data-axis="H"], [data-axis]').first
    opening = await size.input_value()
    await size.fill("3")
    await playground.fresh()
    await recorded.page.keyboard.press("Control+z")
    await expect(size).to_have_value(opening)
    await expect(size).to_be_focused()
    await playground.fresh()
    await recorded.assert_clean()


async def test_steps_of_a_slider_by_keys_are_one_edit_until_it_is_left(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    slider, undo = recorded.page.locator("#temperature-slider"), recorded.page.locator("#undo")
    opening = await slider.input_value()
    stops = []
    for _ in range(2):
        await slider.focus()
        for _ in range(3):
            await recorded.page.keyboard.press("ArrowRight")
            await playground.fresh()
        stops.append(await slider.input_value())
        await recorded.page.locator("#share").focus()
    assert len({opening, *stops}) == 3
    for value in (stops[0], opening):
        await undo.click()
        await expect(slider).to_have_value(value)
    await expect(undo).to_be_disabled()
    await playground.fresh()
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await recorded.assert_clean()
