"""The view of ribbons: as thick as the weights, none for a masked key, and each explains its weight."""

import json
import math
import random
import re
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import PASTE, Playground, number, opened
from tests.server import Server

pytestmark = pytest.mark.browser

QUERIES = [[2.0, 1.0, 1.0, 0.0], [0.0, 0.5, 1.0, 2.0]]

KEYS = [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]]

NAMED = 8


def softmax(query: list[float], keys: list[list[float]], hidden: tuple[int, ...] = ()) -> list[float]:
    """Weights of one query, with the scaled dot product; hidden keys have 0."""
    scores = [math.fsum(q * k for q, k in zip(query, key, strict=True)) / math.sqrt(len(query)) for key in keys]
    exponentials = [0.0 if index in hidden else math.exp(score) for index, score in enumerate(scores)]
    return [each / math.fsum(exponentials) for each in exponentials]


def thicknesses(path: str) -> tuple[float, float]:
    """How thick a band is at its beginning and at its end, in pixels."""
    numbers = [float(each) for each in re.findall(r"-?[\d.]+", path)]
    first_y, last_y, end_y, back_y = numbers[1], numbers[7], numbers[9], numbers[15]
    return back_y - first_y, end_y - last_y


async def flow(open_page: Any, server: Server, language: str = "en", **options: Any) -> tuple[Any, Playground, Locator]:
    """The playground with its ribbons."""
    recorded, playground = await opened(open_page, server.url, language, **options)
    await recorded.page.locator("#tab-flow").click()
    return recorded, playground, recorded.page.locator("#view-other [data-ribbon]")


async def ribbons(found: Locator) -> dict[str, tuple[float, list[str]]]:
    """Weight and bands of each ribbon, by query and key."""
    listed: list[list[Any]] = await found.evaluate_all(
        "all => all.map(one => [one.dataset.ribbon, Number(one.dataset.weight),"
        " [...one.querySelectorAll('path')].map(path => path.getAttribute('d')).filter(Boolean)])"
    )
    return {name: (weight, bands) for name, weight, bands in listed}


def assert_thick(drawn: dict[str, tuple[float, list[str]]], expected: dict[str, float]) -> None:
    """Every weight has its ribbon, each band of it is as thick as the weight, and there is no other."""
    assert set(drawn) == set(expected)
    units = [thicknesses(bands[0])[0] / weight for weight, bands in drawn.values() if weight > 0.01]
    for name, weight in expected.items():
        shown, bands = drawn[name]
        assert abs(shown - weight) <= 1e-12
        assert len(bands) == 2
        for band in bands:
            for thickness in thicknesses(band):
                assert abs(thickness - weight * units[0]) <= 0.01


async def test_ribbons_are_as_thick_as_the_weights(open_page: OpenPage, server: Server) -> None:
    recorded, playground, found = await flow(open_page, server)
    await expect(found).to_have_count(4)
    first = {f"0 {key}": weight for key, weight in enumerate(softmax(QUERIES[0], KEYS))}
    assert_thick(await ribbons(found), first)
    await expect(recorded.page.locator("svg.flow")).to_contain_text("marksman  0.7017")
    await recorded.page.locator('[data-rows="all"]').click()
    await expect(found).to_have_count(8)
    second = {f"1 {key}": weight for key, weight in enumerate(softmax(QUERIES[1], KEYS))}
    assert_thick(await ribbons(found), first | second)
    # The samples of the legend are to the same scale.
    sample = await recorded.page.locator(".flow-legend rect").nth(1).get_attribute("height")
    unit = thicknesses((await ribbons(found))["0 0"][1][0])[0] / first["0 0"]
    assert abs(float(sample or 0) - 0.1 * unit) <= 0.01
    again = await open_page(await playground.link("flow", {"rows": "all"}), locale="zh-CN")
    await expect(again.page.locator("#view-other [data-ribbon]")).to_have_count(8)
    await expect(again.page.locator("svg.flow")).to_contain_text("射手")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_a_hidden_key_has_no_ribbon_and_the_others_share_its_weight(open_page: OpenPage, server: Server) -> None:
    recorded, playground, found = await flow(open_page, server)
    hide = recorded.page.locator(".hiding button", has_text="marksman")
    await hide.click()
    await expect(found).to_have_count(3)
    await playground.fresh()
    expected = {f"0 {key}": weight for key, weight in enumerate(softmax(QUERIES[0], KEYS, hidden=(0,))) if weight}
    assert_thick(await ribbons(found), expected)
    await expect(recorded.page.locator("svg.flow")).to_contain_text("marksman  masked")
    await expect(recorded.page.locator("svg.flow rect.hidden-key")).to_have_count(2)
    await expect(hide).to_have_attribute("aria-pressed", "true")
    # The other query still sees it, until it is hidden from all.
    await recorded.page.locator('[data-rows="all"]').click()
    await expect(found).to_have_count(7)
    await hide.click()
    await expect(found).to_have_count(6)
    await hide.click()
    await expect(found).to_have_count(8)
    await playground.fresh()
    await recorded.assert_clean()


@pytest.mark.soak
async def test_a_ribbon_explains_its_weight_by_mouse_and_by_keyboard(open_page: OpenPage, server: Server) -> None:
    recorded, _, found = await flow(open_page, server)
    pair = recorded.page.locator("#explain-pair")
    await found.nth(2).hover()
    await expect(pair).to_have_text("team fight → mid")
    await recorded.page.locator('[data-rows="all"]').click()
    await found.nth(0).focus()
    await expect(pair).to_have_text("team fight → marksman")
    for key, names in (
        ("ArrowDown", "team fight → jungler"),
        ("ArrowRight", "dragon up → jungler"),
        ("End", "dragon up → top"),
        ("ArrowLeft", "team fight → top"),
        ("ArrowUp", "team fight → mid"),
    ):
        await recorded.page.keyboard.press(key)
        await expect(pair).to_have_text(names)
    # All of them are one stop of Tab.
    assert await found.evaluate_all("all => all.filter(one => one.tabIndex === 0).length") == 1
    await expect(found.nth(2)).to_be_focused()
    await recorded.assert_clean()


@pytest.mark.soak
async def test_a_tap_explains_and_masks_nothing(open_page: OpenPage, server: Server) -> None:
    recorded, _, found = await flow(open_page, server, "zh", width=360, has_touch=True, is_mobile=True)
    for _ in range(2):
        # The ribbon of 0.1489 and those that are thinner can be hit beside the band.
        await found.nth(1).locator("rect").tap()
        await expect(recorded.page.locator("#explain-pair")).to_have_text("团战 → 打野")
    await expect(found).to_have_count(4)
    sizes = await recorded.page.locator(".hiding button, [data-ribbon] rect").evaluate_all(
        "all => all.map(target => target.getBoundingClientRect().height)"
    )
    assert len(sizes) == 8
    assert all(size >= 24 for size in sizes)
    await recorded.assert_clean()


@pytest.mark.soak
async def test_of_many_keys_the_strongest_have_names_and_the_others_are_one_ribbon(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground, found = await flow(open_page, server)
    drawn = random.Random(8)
    query, key, value = (
        [[round(drawn.gauss(0, 1), 2) for _ in range(4)] for _ in range(count)] for count in (12, 128, 128)
    )
    await recorded.page.locator("body").evaluate(PASTE, json.dumps({"query": query, "key": key, "value": value}))
    await expect(recorded.page.locator("svg.flow")).to_contain_text(f"{128 - NAMED} more")
    await playground.fresh()
    weights = softmax(query[0], key)
    # The focused key has a name, whatever its weight is.
    strongest = sorted(range(1, 128), key=lambda index: -weights[index])[: NAMED - 1]
    expected = {f"0 {index}": weights[index] for index in (0, *strongest)}
    assert_thick(await ribbons(found), {**expected, "0 rest": 1 - math.fsum(expected.values())})
    label = await recorded.page.locator('[data-ribbon="0 rest"]').get_attribute("aria-label") or ""
    assert abs(number(label.split()[-1]) - (1 - math.fsum(expected.values()))) <= 0.501e-4
    await recorded.page.locator('[data-rows="all"]').click()
    await expect(recorded.page.locator("#view-other")).to_contain_text("Queries that are not drawn: 4")
    await recorded.assert_fits()
    await recorded.assert_clean()
