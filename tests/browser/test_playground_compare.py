"""Two settings on the same numbers: both maps, their difference, and where it is largest."""

import asyncio
import json
import random
import sys
from typing import Any

import pytest
from playwright.async_api import Request, Route, expect

from tests.browser.compared import Compared, opening
from tests.browser.conftest import OpenPage
from tests.browser.links import fragment, read
from tests.browser.playground import opened
from tests.browser.snippets.judge import run
from tests.browser.test_playground_heads import tensor
from tests.oracle import attention
from tests.server import Server

pytestmark = pytest.mark.browser

SPARSEMAX = {"name": "sparsemax"}

DOT_PRODUCT = {"name": "dot_product"}


@pytest.mark.soak
async def test_softmax_and_sparsemax_stand_side_by_side_after_two_clicks_and_travel(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    compared = Compared(playground)
    await compared.open()
    await expect(compared.summary).to_contain_text("Choose a comparison above")
    await compared.choose("sparsemax")
    await compared.assert_shows(opening(), opening(normalizer=SPARSEMAX))
    # The opening example: 0.6567 of the weight of the second query goes to the jungler, and sparsemax gives it all.
    await expect(compared.summary).to_contain_text("Largest |Δ| = 0.3433")
    await expect(compared.summary).to_contain_text("dragon up → jungler")
    await expect(playground.announced).to_contain_text("Largest |Δ| = 0.3433")
    await expect(compared.map("b")).to_have_attribute("aria-label", "B: Weights")
    await recorded.page.wait_for_url(lambda url: "#2." in url and read(url)["t"] is not None)
    again, reopened = await opened(open_page, server.url, "zh")
    await again.page.goto("about:blank")
    await again.page.goto(recorded.page.url)
    copy = Compared(reopened)
    await copy.fresh()
    for side in ("a", "b", "difference"):
        assert await copy.values(side) == await compared.values(side)
    await expect(copy.summary).to_contain_text("抢龙 → 打野")
    await recorded.assert_clean()
    await again.assert_clean()


@pytest.mark.soak
async def test_swap_copy_and_undo(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    compared = Compared(playground)
    await compared.open()
    await compared.choose("scaled")
    scaled, unscaled = opening(), opening(score_model=DOT_PRODUCT)
    await compared.assert_shows(scaled, unscaled)
    await recorded.page.locator("#compare-stage").select_option("scores")
    await compared.assert_shows(scaled, unscaled, "scores")
    await recorded.page.locator('[data-action="swap"]').click()
    await expect(recorded.page.locator("#score-model")).to_have_value("dot_product")
    await expect(recorded.page.locator("#b-score-model")).to_have_value("scaled_dot_product")
    await compared.fresh()
    await compared.assert_shows(unscaled, scaled, "scores")
    await recorded.page.locator("#undo").click()
    await compared.fresh()
    await compared.assert_shows(scaled, unscaled, "scores")
    # What B does not share with A stays while A is edited; then B is the same.
    await playground.type_into("query", 0, 0, "3")
    await compared.fresh()
    edited = [[3, 1, 1, 0], [0, 0.5, 1, 2]]
    await compared.assert_shows({**scaled, "query": edited}, {**unscaled, "query": edited}, "scores")
    await recorded.page.locator('[data-action="copy"]').click()
    await compared.fresh()
    await compared.assert_shows({**scaled, "query": edited}, {**scaled, "query": edited}, "scores")
    await recorded.page.locator("#undo").click()
    await compared.fresh()
    await compared.assert_shows({**scaled, "query": edited}, {**unscaled, "query": edited}, "scores")
    # Another tab, and back: the view is as it was left.
    await recorded.page.locator("#tab-maps").click()
    await recorded.page.locator("#tab-compare").click()
    await expect(recorded.page.locator("#compare-stage")).to_have_value("scores")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_a_setting_of_b_shows_at_once_and_a_late_answer_is_dropped(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    compared = Compared(playground)
    await compared.open()
    await compared.choose("temperature")
    asked: list[float] = []
    gate = asyncio.Event()

    async def wait(route: Route) -> None:
        if route.request.url.endswith("/v1/attention"):
            await gate.wait()
        await route.continue_()

    def note(request: Request) -> None:
        if request.url.endswith("/v1/attention"):
            asked.append(json.loads(request.post_data or "{}")["normalizer"]["temperature"])

    recorded.page.on("request", note)
    await recorded.page.route("**/v1/attention", wait)
    for text in ("3", "4"):
        await recorded.page.locator("#b-temperature").fill(text)
        await expect(compared.check("b")).to_have_attribute("data-state", "pending")
        async with recorded.page.expect_request("**/v1/attention"):
            pass
    cold, hot = ({"name": "softmax", "temperature": temperature} for temperature in (0.5, 4))
    await compared.assert_shows(opening(normalizer=cold), opening(normalizer=hot))
    gate.set()
    await compared.fresh()
    assert asked == [3, 4]
    await compared.assert_shows(opening(normalizer=cold), opening(normalizer=hot))
    await expect(recorded.page.locator("#temperature")).to_have_value("0.5")
    await recorded.page.unroute_all()
    await recorded.assert_clean()


@pytest.mark.soak
async def test_the_cell_that_is_pointed_at_is_marked_in_all_maps(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url, "zh")
    compared = Compared(playground)
    await compared.open()
    await compared.choose("corners")
    # The last query sees every key, or the first query the first one alone.
    await compared.assert_shows(opening(mask={"causal": True, "offset": 2}), opening(mask={"causal": True}))
    await compared.cell("a", 1, 2).hover()
    for side in ("a", "b", "difference"):
        await expect(compared.cell(side, 1, 2)).to_have_attribute("aria-selected", "true")
    await expect(compared.cell("b", 1, 2)).to_have_attribute("aria-label", "抢龙，中路：已遮住，权重 0")
    await expect(compared.summary).to_contain_text("抢龙 → 中路")
    await expect(recorded.page.locator("#explain-pair")).to_have_text("抢龙 → 中路")
    await compared.cell("difference", 0, 0).focus()
    await recorded.page.keyboard.press("End")
    await expect(compared.cell("b", 0, 3)).to_have_attribute("aria-selected", "true")
    # Hatched in the difference is what neither side sees.
    hatched = await compared.map("difference").locator("td[data-hidden]").count()
    assert (hatched, await compared.map("b").locator("td[data-hidden]").count()) == (1, 5)
    await recorded.assert_clean()


@pytest.mark.soak
async def test_settings_that_the_service_refuses_are_told_at_b(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    compared = Compared(playground)
    await compared.open()
    await playground.type_into("query", 0, 0, "-3")
    await recorded.page.locator('[data-preset="proportional"]').click()
    error = recorded.page.locator('.view-compare [data-place="normalizer"]')
    await expect(error).to_contain_text("Proportions need scores that are not negative")
    await expect(compared.map("b")).to_be_hidden()
    await expect(compared.map("difference")).to_be_hidden()
    await expect(playground.error("normalizer").first).to_be_hidden()
    await playground.fresh()
    await playground.type_into("query", 0, 0, "2")
    await compared.fresh()
    await expect(error).to_be_hidden()
    await compared.assert_shows(opening(), opening(normalizer={"name": "proportional"}))
    await recorded.assert_clean("422")


@pytest.mark.soak
async def test_formulas_that_read_the_head_are_compared_at_the_head_on_the_screen(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    page = recorded.page
    request = {
        **{name: tensor(random.Random(4), 2, 2, 3, 4) for name in ("query", "key", "value")},
        "score_modifier": {"formula": "score * (h + 1) + 3 * b * j - t * j", "parameters": {"t": {"per_head": [0, 2]}}},
    }
    await playground.paste("query", json.dumps(request))
    await playground.fresh()
    await page.locator("#batch").select_option("3")
    await playground.fresh()
    compared = Compared(playground)
    await compared.open()
    await page.locator('[data-preset="sparsemax"]').click()
    await expect(compared.check("b")).to_have_attribute("data-state", "unchecked")
    expected = attention({**request, "normalizer": SPARSEMAX})["weights"][1][1]
    assert await compared.values("b") == [pytest.approx([float(one) for one in row], abs=1e-12) for row in expected]
    # So does the code: what asks the service asks for all slices, and the mathematics know which one it is.
    await page.locator("#tab-request").click()
    code = page.locator(".view-request code")
    await page.locator('.view-request [data-option="json"]').click()
    assert json.loads(await code.inner_text())["query"] == request["query"]
    await page.locator('.view-request [data-option="numpy"]').click()
    await expect(page.locator(".view-request .hint")).to_contain_text(
        "Of the 4 slices the one on the screen: row 2, head 2."
    )
    found = run(sys.executable, {"numpy": await code.inner_text()})["numpy"]
    weights = attention(request)["weights"][1][1]
    assert found["weights"] == [pytest.approx([float(one) for one in row], abs=1e-12) for row in weights]
    await recorded.assert_clean()


@pytest.mark.soak
async def test_titles_name_the_fields_that_differ(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    compared = Compared(playground)
    await compared.open()
    page = recorded.page
    await page.locator(".view-compare summary", has_text="Advanced").click()
    await page.locator("#b-further-softcap").fill("2")
    await page.locator("#b-further-dtype").select_option('"float32"')
    for side, title in (
        ("a", "soft cap: none · type of numbers: float64"),
        ("b", "soft cap: 2 · type of numbers: float32"),
    ):
        await expect(page.locator(f'[data-side="{side}"]')).to_contain_text(title)
    await recorded.assert_clean()


BROKEN_OPTIONS: list[Any] = [
    {"stage": "weights"},
    {"stage": "mask", "b": {}},
    {"stage": "weights", "b": []},
    {"stage": "weights", "b": {"query": [[1]]}},
    {"stage": "weights", "b": {"normalizer": {"name": "unknown", "parameters": {}}}},
    {"stage": "weights", "b": {"scoreModel": None}},
    {"stage": "weights", "b": {"mask": {"kind": "custom"}}},
    {"stage": "weights", "b": {"further": {"unknown": None}}},
]


@pytest.mark.soak
async def test_a_link_with_other_options_than_the_view_has_is_refused(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await Compared(playground).open()
    await recorded.page.wait_for_url(lambda url: "#2." in url and read(url)["t"] is not None)
    document = read(recorded.page.url)
    for options in BROKEN_OPTIONS:
        await recorded.page.evaluate(
            "link => { location.hash = link; }", fragment({**document, "t": ["compare", options]})
        )
        await expect(playground.notice("link")).to_contain_text("The link could not be read")
        await playground.notice("link").locator('[data-action="close"]').click()
    mask = {"kind": "custom", "offset": None, "left": 1, "right": 0, "lengths": [], "allowed": [[True]]}
    parts = {"mask": mask, "further": {"score_modifier/formula": "score - j", "mask/formula": None}}
    await recorded.page.evaluate(
        "link => { location.hash = link; }", fragment({**document, "t": ["compare", {"stage": "weights", "b": parts}]})
    )
    # A mask of other sizes follows those of Q and K; a formula is computed by the service alone.
    shown = Compared(playground)
    await expect(shown.check("b")).to_have_attribute("data-state", "unchecked")
    await shown.assert_shows(opening(), opening(score_modifier={"formula": "score - j"}))
    await recorded.assert_clean()
