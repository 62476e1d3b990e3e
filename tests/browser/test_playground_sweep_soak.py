"""Sweeps and ribbons at every width, in both languages and schemes, and for every score model and normalizer."""

import itertools

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import number, opened
from tests.browser.test_playground_sweep import rows
from tests.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.soak]

WIDTHS = (360, 768, 1280, 1920)

LOOKS = (("zh", "light"), ("en", "dark"))

SCENES = (
    ("sweep", '[data-sweep="temperature"]'),
    ("sweep", '[data-sweep="random"]'),
    ("flow", '[data-rows="focused"]'),
    ("flow", '[data-rows="all"]'),
)

# Texts that are not inside their drawing.
OUTSIDE = """
() => [...document.querySelectorAll("#view-other svg")].flatMap((svg) => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter((text) => {
    const box = text.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1 ||
      box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
  }).map((text) => text.textContent);
})
"""


@pytest.mark.parametrize("look", LOOKS)
async def test_no_text_leaves_its_drawing_at_any_width(
    open_page: OpenPage, server: Server, look: tuple[str, str]
) -> None:
    language, scheme = look
    recorded, _ = await opened(open_page, server.url, language, colour_scheme=scheme)
    for (view, choice), width in itertools.product(SCENES, WIDTHS):
        await recorded.page.set_viewport_size({"width": width, "height": 900})
        await recorded.page.locator(f"#tab-{view}").click()
        await recorded.page.locator(choice).click()
        await recorded.settle()
        assert await recorded.page.evaluate("document.documentElement.scrollWidth") <= width
        assert await recorded.page.evaluate(OUTSIDE) == [], (view, choice, width)
    await recorded.assert_clean()


async def test_every_score_model_and_normalizer_that_the_browser_knows_is_confirmed(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    await recorded.page.locator("#tab-sweep").click()
    models, normalizers = [
        await recorded.page.locator(f"#{name} option").evaluate_all("all => all.map(option => option.value)")
        for name in ("score-model", "normalizer")
    ]
    pairs = [(model, "softmax") for model in models if model != "expression"]
    pairs += [("scaled_dot_product", normalizer) for normalizer in normalizers]
    for model, normalizer in pairs:
        await playground.choose("#score-model", model)
        await playground.choose("#normalizer", normalizer)
        for sweep in await recorded.page.locator('[data-sweep]:visible:not([data-sweep="random"])').all():
            await sweep.click()
            for _, browser, service, apart in (await rows(playground))[:4]:
                assert abs(number(browser) - number(service)) <= 1e-6
                assert number(apart) <= 1e-12, (model, normalizer)
    await recorded.assert_clean()


async def test_the_first_draw_can_be_put_into_the_inputs(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await recorded.page.locator("#tab-sweep").click()
    await recorded.page.locator('[data-sweep="random"]').click()
    await recorded.page.locator("#view-other .cursor-slider:visible").press("Home")
    await recorded.page.locator("#view-other button", has_text="Put the first draw").click()
    await playground.fresh()
    await expect(recorded.page.locator("#tensor-key tbody tr")).to_have_count(8)
    await recorded.page.locator("#tab-maps").click()
    await expect(recorded.page.locator("#verification")).to_have_attribute("data-state", "match")
    await recorded.page.locator("#undo").click()
    await expect(playground.field("query", 0, 0)).to_have_value("2")
    await recorded.assert_clean()


async def test_ribbons_stand_still_for_who_wants_less_motion(open_page: OpenPage, server: Server) -> None:
    for motion, moves in (("no-preference", True), ("reduce", False)):
        recorded, _ = await opened(open_page, server.url, reduced_motion=motion)
        await recorded.page.locator("#tab-flow").click()
        band = recorded.page.locator("#view-other [data-ribbon] path").first
        await expect(band).to_be_visible()
        lasting = await band.evaluate("path => getComputedStyle(path).transitionProperty === 'd'")
        assert lasting == moves
