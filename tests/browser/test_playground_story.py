"""The story, undo, and sentences that hold for the normalizer in use: no claim outlives its numbers."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.links import fragment, read
from tests.browser.playground import opened
from tests.server import Server

pytestmark = pytest.mark.browser

NOW = {"zh": "团战：最关注射手（36%）", "en": "team fight: attends most to marksman (36\u00a0%)"}

CLAIM = "70"


@pytest.mark.parametrize("language", [pytest.param("zh", marks=pytest.mark.soak), "en"])
async def test_the_story_gives_way_to_what_the_numbers_say_and_undo_brings_it_back(
    open_page: OpenPage, server: Server, language: str
) -> None:
    recorded, playground = await opened(open_page, server.url, language)
    story = recorded.page.locator("#story-text")
    await expect(story).to_contain_text(CLAIM, use_inner_text=True)
    await playground.type_into("query", 0, 0, "0")
    await expect(story).to_contain_text(NOW[language])
    await expect(story).not_to_contain_text(CLAIM, use_inner_text=True)
    await recorded.page.locator("#undo").click()
    await playground.fresh()
    await expect(story).to_contain_text(CLAIM, use_inner_text=True)
    await expect(playground.field("query", 0, 0)).to_have_value("2")
    await recorded.page.locator("#redo").click()
    await expect(story).to_contain_text(NOW[language])
    await recorded.page.locator('[data-action="restore"]').click()
    await playground.fresh()
    await expect(story).to_contain_text(CLAIM, use_inner_text=True)
    await recorded.assert_clean()


async def test_numbers_of_no_example_have_what_they_say_and_no_story(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.type_into("query", 0, 0, "0")
    await recorded.page.wait_for_url(lambda url: "#2." in url and read(url)["q"][0][0][0] == 0)
    document = read(recorded.page.url) | {"e": None}
    await recorded.page.evaluate("fragment => { location.hash = fragment }", fragment(document))
    story = recorded.page.locator("#story")
    await expect(story.locator("#story-title")).to_have_text("What the numbers say")
    await expect(story).to_contain_text(NOW["en"])
    await expect(story).not_to_contain_text("this example", use_inner_text=True)
    await recorded.page.locator("#undo").click()
    await expect(story).to_contain_text("no longer those of this example")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_any_change_of_the_numbers_silences_the_story_and_a_change_of_names_does_not(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    story = recorded.page.locator("#story-text")
    for select, value, back in (
        ("#score-model", "dot_product", "scaled_dot_product"),
        ("#normalizer", "sparsemax", "softmax"),
        ("#mask-kind", "causal", "none"),
    ):
        await playground.choose(select, value)
        await expect(story).not_to_contain_text(CLAIM, use_inner_text=True)
        await playground.choose(select, back)
        await expect(story).to_contain_text(CLAIM, use_inner_text=True)
    await recorded.page.locator("#temperature").fill("2")
    await expect(story).not_to_contain_text(CLAIM, use_inner_text=True)
    await recorded.page.locator("#temperature").fill("1")
    await expect(story).to_contain_text(CLAIM, use_inner_text=True)
    await playground.name_field("key", "row", 0).fill("Luban")
    await playground.fresh()
    await expect(story).to_contain_text(CLAIM, use_inner_text=True)
    await recorded.assert_clean()


@pytest.mark.soak
async def test_an_example_that_replaces_edits_says_so_and_they_come_back(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    toast = recorded.page.locator("#toast")
    await playground.choose("#example", "causal")
    await expect(toast).to_be_hidden()
    await playground.type_into("query", 0, 0, "3.25")
    await playground.choose("#example", "temperature")
    await expect(toast).to_contain_text("Your edits have been replaced")
    await toast.get_by_role("button").click()
    await expect(playground.field("query", 0, 0)).to_have_value("3.25")
    await expect(recorded.page.locator("#example")).to_have_value("causal")
    await playground.fresh()
    await recorded.page.keyboard.press("Control+z")
    await expect(playground.field("query", 0, 0)).not_to_have_value("3.25")
    await recorded.page.keyboard.press("Control+Shift+z")
    await expect(playground.field("query", 0, 0)).to_have_value("3.25")
    await playground.fresh()
    await recorded.page.locator('[data-action="restore"]').click()
    await playground.fresh()
    # Names are edits too.
    await playground.name_field("key", "row", 0).fill("Luban")
    await playground.choose("#example", "temperature")
    await expect(toast).to_contain_text("Your edits have been replaced")
    await toast.get_by_role("button").click()
    await expect(playground.name_field("key", "row", 0)).to_have_value("Luban")
    await playground.fresh()
    await recorded.assert_clean()


async def test_each_press_of_a_button_is_undone_by_itself_and_what_is_typed_at_once(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    # In one go, as fast as no person presses.
    await recorded.page.evaluate(
        """() => {
          for (const direction of ["row", "row", "column"])
            document.querySelector(`#tensor-value [data-tool="insert-${direction}"]`).click();
        }"""
    )
    field = playground.field("query", 0, 0)
    await field.click()
    await recorded.page.keyboard.type("3.25")
    await playground.fresh()
    await playground.paste("query", "7\t8\t9\t10\n7\t8\t9\t10\n")
    await expect(field).to_have_value("7")
    await recorded.page.keyboard.press("Control+a")
    await recorded.page.keyboard.type("11")
    await playground.fresh()
    sizes = recorded.page.locator("#tensor-value .count")
    for value in ("7", "3.25", "2"):
        await recorded.page.locator("#undo").click()
        await expect(field).to_have_value(value)
    for expected in (["6", "3"], ["5", "3"], ["4", "3"]):
        await recorded.page.locator("#undo").click()
        await expect(sizes).to_have_text(expected)
    await expect(recorded.page.locator("#undo")).to_be_disabled()
    await playground.fresh()
    await recorded.assert_clean()


@pytest.mark.soak
async def test_nothing_speaks_of_softmax_under_another_normalizer(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    explained = recorded.page.locator("#explain")
    await playground.explained("0.701669")
    await expect(explained).to_contain_text("Softmax sensitivity")
    for name in ("sparsemax", "entmax", "proportional", "hardmax", "sigmoid", "relu", "none"):
        await playground.choose("#normalizer", name)
        await expect(explained).not_to_have_attribute("data-state", "pending")
        assert "softmax" not in (await explained.inner_text()).lower(), name
    await recorded.assert_clean()


async def test_a_mask_of_single_cells_survives_a_look_without_it(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.cell("mask", 0, 2).click()
    await playground.fresh()
    masks = await playground.texts("mask")
    for other in ("none", "causal"):
        await playground.choose("#mask-kind", other)
        assert await playground.texts("mask") != masks
        await playground.choose("#mask-kind", "custom")
        assert await playground.texts("mask") == masks
    await recorded.assert_clean()


@pytest.mark.soak
async def test_formulas_have_what_is_set_and_nothing_else(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    weights = recorded.page.locator('#formula [data-stage="weights"]')
    assert "T" not in await weights.inner_text()
    await recorded.page.locator("#temperature").fill("2")
    await expect(weights).to_contain_text("T")
    await expect(weights).not_to_contain_text("sink")
    await recorded.page.locator('[data-parameter="sink"]').fill("1")
    await expect(weights).to_contain_text("sink")
    await playground.choose("#score-model", "additive")
    scores = recorded.page.locator('#formula [data-stage="scores"]')
    await expect(scores).not_to_contain_text("b")
    await playground.choose("#example", "additive")
    story = recorded.page.locator("#story-text")
    assert await story.locator(".story-own sub").all_inner_texts() == ["k", "q"]
    await expect(story).not_to_contain_text("W_")
    await playground.explained("0.70917")
    await playground.explained("0 × 2 + 0 × 1 + 0 × 1 + (−2) × 0 + 0.5 × 1.9 + 0 × 1.5 + 0 × 1 + 0 × 0.3 = 0.95")
    label = recorded.page.locator('[data-parameter="query_weight"] .parameter-name')
    assert await label.locator("sub").inner_text() == "q"
    assert await playground.page.locator('#score-model-parameters input[value^="-"]').count() == 0
    assert (
        await recorded.page.locator('[data-parameter="query_weight"] [data-row="0"][data-column="3"]').input_value()
        == "−2"
    )
    await recorded.assert_clean()
