"""Numbers follow at once, from the browser's own reference; what the service says counts when it has said it."""

import asyncio
import json
from typing import Any

import pytest
from playwright.async_api import Page, Request, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import Playground, number, opened
from tests.server import Server

pytestmark = pytest.mark.browser

ATTENTION = "**/v1/attention"


SWIPE = """
(field, [x, y]) => {
  field.setPointerCapture = () => {};
  const finger = { bubbles: true, button: 0, pointerType: "touch", pointerId: 7, clientY: y };
  for (const [type, clientX, buttons] of [["pointerdown", x, 1], ["pointermove", x + 30, 1], ["pointerup", x + 30, 0]])
    field.dispatchEvent(new PointerEvent(type, { ...finger, clientX, buttons }));
}
"""


class Questions:
    """What the page asks the service while it is listened to."""

    def __init__(self, page: Page) -> None:
        self.asked: list[dict[str, Any]] = []
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if request.url.endswith("/v1/attention"):
            self.asked.append(json.loads(request.post_data or "{}"))


async def weights(playground: Playground) -> list[float]:
    return [number(text) for text in (await playground.texts("weights"))[0]]


async def test_numbers_follow_before_the_service_answers_and_no_tick_stands_beside_them(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    gate = asyncio.Event()

    async def wait(route: Route) -> None:
        await gate.wait()
        await route.continue_()

    await recorded.page.route(ATTENTION, wait)
    slider = recorded.page.locator("#temperature-slider")
    seen = []
    for step in range(500, 900, 40):
        await slider.evaluate(
            "(slider, step) => { slider.value = step; slider.dispatchEvent(new Event('input')); }", step
        )
        seen.append((await weights(playground))[0])
        assert await playground.verification.get_attribute("data-state") == "pending"
        assert await playground.results.get_attribute("data-state") == "pending"
    # Each move of the slider is on the screen with it: the higher the temperature, the flatter.
    assert seen == sorted(set(seen), reverse=True)
    await expect(playground.verification).to_contain_text("the service is checking")
    await slider.evaluate("slider => slider.dispatchEvent(new Event('change'))")
    gate.set()
    await playground.fresh()
    await expect(playground.verification).to_have_attribute("data-state", "match")
    assert (await weights(playground))[0] == seen[-1]
    await recorded.assert_clean()


async def test_what_the_service_refuses_is_taken_back(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    before = await playground.texts("weights")
    await recorded.page.route(ATTENTION, lambda route: route.abort())
    await playground.field("query", 0, 0).fill("0")
    await expect(playground.notice("away")).to_be_visible()
    assert await playground.texts("weights") == before
    await expect(playground.verification).to_have_text("")
    await expect(recorded.page.locator("#status")).to_contain_text("Out of date")


async def test_a_dragged_number_moves_the_maps_and_the_service_is_asked_once(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    questions = Questions(recorded.page)
    field = playground.field("query", 0, 0)
    box = await field.bounding_box()
    assert box is not None
    x, y = box["x"] + 10, box["y"] + box["height"] / 2
    await recorded.page.mouse.move(x, y)
    await recorded.page.mouse.down()
    seen = [(await weights(playground))[0]]
    for pixels in range(6, 61, 6):
        await recorded.page.mouse.move(x + pixels, y)
        await expect(playground.cell("weights", 0, 0)).not_to_have_text(f"{seen[-1]:.4f}")
        seen.append((await weights(playground))[0])
    assert seen == sorted(seen)
    await expect(field).to_have_value("4")
    assert questions.asked == []
    await recorded.page.mouse.up()
    await playground.fresh()
    assert [question["query"][0][0] for question in questions.asked] == [4]
    await expect(playground.verification).to_have_attribute("data-state", "match")
    # A press without a move chooses the number for typing; one undo, or Escape, goes back to where a drag began.
    await field.click()
    await expect(field).to_be_focused()
    await recorded.page.keyboard.press("Control+z")
    await expect(field).to_have_value("2")
    await playground.fresh()
    await playground.field("query", 0, 1).focus()
    await recorded.page.mouse.move(x, y)
    await recorded.page.mouse.down()
    await recorded.page.mouse.move(x + 30, y)
    await expect(field).to_have_value("3")
    await recorded.page.keyboard.press("Escape")
    await expect(field).to_have_value("2")
    await recorded.page.mouse.up()
    await playground.fresh()
    await recorded.assert_clean()


@pytest.mark.soak
async def test_an_open_view_follows_a_drag_and_the_maps_behind_it_where_it_ends(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    page, field = recorded.page, playground.field("query", 0, 0)
    await page.locator("#tab-table").click()
    shown = page.locator("#view-other table", has_text="Weights").locator("tbody td").first
    await expect(shown).to_have_text("0.7016690736051048")
    box = await field.bounding_box()
    assert box is not None
    x, y = box["x"] + 10, box["y"] + box["height"] / 2
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(x + 30, y)
    await expect(field).to_have_value("3")
    await expect(shown).not_to_have_text("0.7016690736051048")
    during = await shown.inner_text()
    # Another tab, in the middle of the drag.
    await page.locator("#tab-maps").dispatch_event("click")
    await expect(playground.cell("weights", 0, 0)).to_have_text(f"{float(during):.4f}")
    await page.locator("#tab-table").dispatch_event("click")
    await page.mouse.move(x + 60, y)
    await expect(field).to_have_value("4")
    await page.mouse.up()
    await playground.fresh()
    await expect(shown).not_to_have_text(during)
    await expect(playground.cell("weights", 0, 0)).to_have_text(f"{float(await shown.inner_text()):.4f}")
    await recorded.assert_clean()


async def test_a_slider_that_comes_back_to_where_it_was_is_let_go(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    slider = recorded.page.locator("#temperature-slider")
    await slider.scroll_into_view_if_needed()
    box = await slider.bounding_box()
    assert box is not None
    x, y = box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2
    # The thumb stands under the pointer from here on.
    opening = await slider.input_value()
    await recorded.page.mouse.click(x, y)
    await expect(slider).not_to_have_value(opening)
    await playground.fresh()
    start = await slider.input_value()
    await recorded.page.mouse.down()
    await recorded.page.mouse.move(x - 40, y)
    await expect(slider).not_to_have_value(start)
    await recorded.page.mouse.move(x, y)
    await expect(slider).to_have_value(start)
    await recorded.page.mouse.up()
    await playground.fresh()
    # The service is asked about the next number.
    await playground.type_into("query", 0, 0, "1")
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_keys_step_a_number_and_a_finger_drags_the_one_it_has_chosen(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url, has_touch=True)
    field = playground.field("key", 0, 0)
    await field.focus()
    for key, value in (("Alt+ArrowUp", "2"), ("Alt+ArrowUp", "2.1"), ("Alt+Shift+ArrowDown", "1.1")):
        await recorded.page.keyboard.press(key)
        await expect(field).to_have_value(value)
    await playground.fresh()
    await expect(playground.verification).to_have_attribute("data-state", "match")
    sink = recorded.page.locator('[data-parameter="sink"]')
    await sink.focus()
    await recorded.page.keyboard.press("Alt+ArrowUp")
    await expect(sink).to_have_value("0.1")
    temperature = recorded.page.locator("#temperature")
    await temperature.fill("0.1")
    for _ in range(4):
        await recorded.page.keyboard.press("Alt+Shift+ArrowDown")
    assert number(await temperature.input_value()) > 0
    await playground.fresh()
    # With a finger: unchosen numbers scroll the page, the chosen one follows.
    await temperature.fill("1")
    await playground.fresh()
    box = await field.bounding_box()
    assert box is not None
    for chosen in (False, True):
        if chosen:
            await field.focus()
        before = await field.input_value()
        await field.evaluate(SWIPE, [box["x"] + 5, box["y"] + 5])
        assert (await field.input_value() != before) is chosen
    await playground.fresh()
    await recorded.assert_clean()


async def test_an_explanation_is_compared_with_the_cell_that_it_explains(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    explain = recorded.page.locator("#explain")
    compared = recorded.page.locator("#explain-compared")
    await expect(compared).to_contain_text("Weight, explained")
    gate = asyncio.Event()

    async def wait(route: Route) -> None:
        await gate.wait()
        await route.continue_()

    await recorded.page.route("**/v1/attention/explain", wait)
    await playground.cell("scores", 1, 2).click()
    await expect(recorded.page.locator("#explain-pair")).to_have_text("dragon up → mid")
    await expect(explain).to_have_attribute("data-state", "pending")
    await expect(compared).not_to_contain_text("≠")
    await expect(compared).not_to_contain_text("Weight, explained")
    gate.set()
    await expect(compared).to_contain_text("Weight, explained")
    await expect(compared).not_to_contain_text("≠")
    await expect(explain).not_to_have_attribute("data-state", "pending")
    # A preview that comes back to what the service has explained already is explained.
    slider = recorded.page.locator("#temperature-slider")
    there = "(slider, step) => { slider.value = step; slider.dispatchEvent(new Event('input')); }"
    start = await slider.input_value()
    await slider.evaluate(there, 900)
    await expect(explain).to_have_attribute("data-state", "pending")
    await slider.evaluate(there, start)
    await slider.evaluate("slider => slider.dispatchEvent(new Event('change'))")
    await playground.fresh()
    await expect(explain).not_to_have_attribute("data-state", "pending")
    await expect(compared).to_contain_text("Weight, explained")
    await recorded.assert_clean()
