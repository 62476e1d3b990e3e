"""The view that sweeps a parameter: its numbers, its cursor, and the picture of why scores are divided by √D."""

import math
import re
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import Playground, number, opened
from tests.browser.test_playground_formulas import field
from tests.server import Server

pytestmark = pytest.mark.browser

QUERY = [2.0, 1.0, 1.0, 0.0]

KEYS = [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]]


def weights(temperature: float = 1.0, scale: float = 0.5, sink: float = -math.inf, features: int = 4) -> list[float]:
    """Softmax of the opening example's first row, with exponentials of plain Python."""
    logits = [
        scale * math.fsum(q * k for q, k in list(zip(QUERY, key, strict=True))[:features]) / temperature for key in KEYS
    ]
    exponentials = [math.exp(logit) for logit in logits]
    total = math.fsum([*exponentials, math.exp(sink)])
    return [each / total for each in exponentials]


async def rows(playground: Playground) -> list[list[str]]:
    """The cells of the table at the cursor, with names."""
    table = playground.page.locator("#view-other table.values")
    found: list[list[str]] = await table.evaluate(
        "table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return found


async def assert_weights(playground: Playground, expected: list[float]) -> None:
    """Browser and service have these weights at the cursor, and what they are apart is written beside them."""
    await playground.fresh()
    await expect(playground.page.locator("#view-other table.values")).not_to_contain_text("…")
    for (_, browser, service, apart), weight in zip((await rows(playground))[:4], expected, strict=True):
        assert abs(number(browser) - weight) <= 0.501e-6
        assert abs(number(service) - weight) <= 0.501e-6
        assert number(apart) <= 1e-12


async def swept(
    open_page: Any, server: Server, parameter: str, language: str = "en", **options: Any
) -> tuple[Any, Playground, Locator]:
    """The playground with one sweep open, and the slider below its plots."""
    recorded, playground = await opened(open_page, server.url, language, **options)
    await recorded.page.locator("#tab-sweep").click()
    await recorded.page.locator(f'[data-sweep="{parameter}"]').click()
    return recorded, playground, recorded.page.locator("#view-other .cursor-slider:visible")


async def test_the_cursor_and_the_slider_of_the_temperature_are_one(open_page: OpenPage, server: Server) -> None:
    recorded, playground, slider = await swept(open_page, server, "temperature")
    await assert_weights(playground, weights())
    field = recorded.page.locator("#temperature")
    for _ in range(3):
        await slider.press("ArrowLeft")
    temperature = number(await field.input_value())
    assert 0.8 < temperature < 0.95
    await assert_weights(playground, weights(temperature))
    await field.fill("0.5")
    await assert_weights(playground, weights(0.5))
    await expect(slider).to_have_attribute(
        "aria-valuetext", re.compile(r"^Temperature = 0\.5: team fight attends most to ")
    )
    # A press in a plot moves both.
    plot = recorded.page.locator("#view-other svg.plot").first
    at = float(await plot.locator(".cursor line").get_attribute("x1") or 0)
    await plot.hover(position={"x": at, "y": 60})
    await recorded.page.mouse.down()
    await plot.hover(position={"x": at + 40, "y": 60})
    await recorded.page.mouse.up()
    await playground.fresh()
    dragged = number(await field.input_value())
    assert 0.5 < dragged < 5
    await assert_weights(playground, weights(dragged))
    # The drag is one edit.
    await recorded.page.locator("#undo").click()
    await expect(field).to_have_value("0.5")
    await recorded.page.locator("#view-other .says-line button").click()
    await expect(field).to_have_value("1")
    await recorded.assert_clean()


async def test_the_scale_is_swept_around_its_default(open_page: OpenPage, server: Server) -> None:
    recorded, playground, slider = await swept(open_page, server, "scale")
    await assert_weights(playground, weights())
    await slider.press("ArrowRight")
    scale = number(await recorded.page.locator('[data-parameter="scale"]').input_value())
    assert 0.5 < scale < 0.55
    await assert_weights(playground, weights(scale=scale))
    # Back at its default the parameter is left out.
    await slider.press("ArrowLeft")
    await expect(recorded.page.locator('[data-parameter="scale"]')).to_have_value("")
    await recorded.assert_clean()


async def test_a_sink_takes_a_share_and_leaves_an_entropy(open_page: OpenPage, server: Server) -> None:
    recorded, playground, slider = await swept(open_page, server, "sink")
    await slider.press("End")
    await expect(recorded.page.locator('[data-parameter="sink"]')).to_have_value("15")
    expected = weights(sink=15.0)
    await assert_weights(playground, expected)
    entropy = -math.fsum(weight * math.log(weight) for weight in expected)
    name, browser, service, _ = (await rows(playground))[4]
    assert name == "Entropy"
    assert abs(number(browser) - entropy) <= 0.501e-6
    assert browser == service
    await slider.press("Home")
    await expect(recorded.page.locator('[data-parameter="sink"]')).to_have_value("")
    await assert_weights(playground, weights())
    await recorded.assert_clean()


async def test_fewer_features_are_confirmed_by_the_service_and_travel_in_the_link(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground, slider = await swept(open_page, server, "features")
    await slider.press("ArrowLeft")
    await slider.press("ArrowLeft")
    await assert_weights(playground, weights(scale=2**-0.5, features=2))
    # The inputs keep all of them.
    await expect(playground.field("query", 0, 3)).to_have_value("0")
    link = await playground.link("sweep", {"parameter": "features", "features": 2, "size": 8})
    again = await open_page(link, locale="en-GB")
    await assert_weights(Playground(again.page), weights(scale=2**-0.5, features=2))
    await expect(again.page.locator('[data-sweep="features"]')).to_have_attribute("aria-pressed", "true")
    await recorded.assert_clean()


async def test_lines_of_the_plot_are_the_weights_and_what_the_browser_cannot_compute_has_none(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground, _ = await swept(open_page, server, "temperature")
    plot = recorded.page.locator("#view-other svg.plot").first
    paths = await plot.locator("path.line:not(.leader)").evaluate_all("all => all.map(path => path.getAttribute('d'))")
    assert len(paths) == len(KEYS)
    points = [[tuple(map(float, each.split())) for each in re.findall(r"[ML]([\d.]+ [\d.]+)", path)] for path in paths]
    # The first step is the lowest temperature, where the best key has everything, and the last one 100.
    low, high = max(y for line in points for _, y in line), min(y for line in points for _, y in line)
    for step, temperature in ((0, 0.05), (-1, 100.0)):
        for line, weight in zip(points, weights(temperature), strict=True):
            assert abs((low - line[step][1]) / (low - high) - weight) <= 0.01
    await playground.choose("#score-model", "expression")
    await expect(recorded.page.locator("#view-other .hint")).to_contain_text("nothing to sweep")
    await expect(plot).to_be_hidden()
    await playground.choose("#score-model", "scaled_dot_product")
    await expect(plot).to_be_visible()
    await recorded.page.locator("#further-title").click()
    await field(recorded.page, "softcap").fill("2")
    await field(recorded.page, "position/name").select_option('"rotary"')
    hint = recorded.page.locator("#view-other .hint").first
    await expect(hint).to_have_text(
        "The browser draws no curves with softcap, encoding of positions, so there is nothing to sweep."
    )
    await expect(plot).to_be_hidden()
    await recorded.assert_clean()
