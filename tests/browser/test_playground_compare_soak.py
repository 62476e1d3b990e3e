"""Two settings side by side: whatever the setting, the language, the width and the theme."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.compared import OPENING, Compared, opening
from tests.browser.conftest import OpenPage
from tests.browser.contrast import assert_readable
from tests.browser.playground import LOCALES, opened
from tests.browser.test_playground_fit import SIZES_IN_TURN, WIDTHS, assert_fits, fill
from tests.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.soak]

NAMES = "select => [...select.options].map(option => option.value)"

PRESETS = ("scaled", "sparsemax", "proportional", "temperature", "masked", "corners")

SHIFTED = """
() => new Promise((done) => {
  const seen = [];
  new PerformanceObserver((list) => seen.push(...list.getEntries().filter((one) => !one.hadRecentInput)))
    .observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => done(seen.reduce((sum, { value }) => sum + value, 0))));
})
"""


async def test_b_computes_with_every_normalizer(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    compared = Compared(playground)
    await compared.open()
    select = recorded.page.locator("#b-normalizer")
    for name in await select.evaluate(NAMES):
        await select.select_option(name)
        await compared.fresh()
        await compared.assert_shows(opening(), opening(normalizer={"name": name}))
    for stage in ("output", "scores"):
        await recorded.page.locator("#compare-stage").select_option(stage)
        await compared.assert_shows(opening(), opening(normalizer={"name": name}), stage)
    await recorded.assert_clean()


async def test_every_score_model_of_b_is_accepted(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    compared = Compared(playground)
    await compared.open()
    select = recorded.page.locator("#b-score-model")
    for name in await select.evaluate(NAMES):
        await select.select_option(name)
        await expect(compared.check("b")).to_have_attribute("data-state", re.compile("match|unchecked"))
        await expect(compared.map("difference")).to_be_visible()
    await recorded.assert_clean()


async def test_presets_compare_what_their_names_say(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    compared = Compared(playground)
    await compared.open()
    softmax = [{"name": "softmax", "temperature": temperature} for temperature in (0.5, 2)]
    hidden = opening(mask={"allowed": [[False, True, True, True]] * 2})
    expected = {
        "temperature": [opening(normalizer=normalizer) for normalizer in softmax],
        "sparsemax": [opening(normalizer=softmax[0]), opening(normalizer={"name": "sparsemax"})],
        "proportional": [opening(normalizer=softmax[0]), opening(normalizer={"name": "proportional"})],
        "masked": [{**side, "normalizer": softmax[0]} for side in (hidden, OPENING)],
    }
    for preset, sides in expected.items():
        await compared.choose(preset)
        await expect(recorded.page.locator('.compare-presets [aria-pressed="true"]')).to_have_count(1)
        await compared.assert_shows(*sides)
    await recorded.assert_clean()


@pytest.mark.parametrize(("sizes", "other"), SIZES_IN_TURN)
async def test_every_size_fits_every_width(
    open_page: OpenPage, server: Server, other: str, sizes: tuple[int, int, int, int]
) -> None:
    (language,) = LOCALES.keys() - {other}
    recorded, playground = await opened(open_page, server.url, language)
    await fill(playground, sizes)
    compared = Compared(playground)
    await compared.open()
    await compared.choose("temperature")
    for width in WIDTHS:
        await assert_fits(playground, width)
    assert recorded.page_errors == []


@pytest.mark.parametrize("language", LOCALES)
async def test_it_can_be_read_in_the_light_and_in_the_dark(open_page: OpenPage, server: Server, language: str) -> None:
    recorded, playground = await opened(open_page, server.url, language)
    compared = Compared(playground)
    await compared.open()
    for preset in PRESETS:
        await compared.choose(preset)
        for scheme in ("light", "dark"):
            await recorded.page.emulate_media(color_scheme=scheme)
            await recorded.settle()
            await recorded.page.mouse.move(0, 0)
            await assert_readable(recorded.page, dark=scheme == "dark")
    await recorded.assert_fits()
    await recorded.assert_clean()


async def test_a_link_that_opens_the_view_moves_nothing(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    compared = Compared(playground)
    await compared.open()
    await compared.choose("sparsemax")
    await recorded.page.wait_for_url(re.compile("#2[.]"))
    again, reopened = await opened(open_page, server.url)
    await again.page.goto("about:blank")
    await again.page.goto(recorded.page.url)
    await Compared(reopened).fresh()
    assert await again.page.evaluate(SHIFTED) <= 0.1
    await again.assert_clean()


async def test_a_finger_marks_a_cell_in_all_maps(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url, width=360, has_touch=True, is_mobile=True)
    compared = Compared(playground)
    await compared.open()
    await recorded.page.locator('[data-preset="scaled"]').tap()
    await compared.fresh()
    before = await compared.values("a")
    for _ in range(2):
        await compared.cell("b", 1, 1).tap()
        for side in ("a", "b", "difference"):
            await expect(compared.cell(side, 1, 1)).to_have_attribute("aria-selected", "true")
    assert await compared.values("a") == before
    await recorded.assert_clean()
