"""What a newcomer wants to do, with the keyboard alone: no mouse, and nothing that bypasses keys."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import Playground, opened
from tests.server import Server

pytestmark = pytest.mark.browser

in_chinese = pytest.mark.parametrize("language", ["zh", pytest.param("en", marks=pytest.mark.soak)])
in_english = pytest.mark.parametrize("language", ["en", pytest.param("zh", marks=pytest.mark.soak)])
"""The keys do the same in every language: each test has one, and the other in the soak."""

MASKED = {
    "zh": "团战看不到射手了。团战：射手 0，打野 0.4992，中路 0.3346，上路 0.1662。",
    "en": "marksman is masked for team fight. team fight: marksman 0, jungler 0.4992, mid 0.3346, top 0.1662.",
}

SENTENCES = {
    "zh": ("射手分到团战注意力的 70.17%。", "打野分到团战注意力的 14.89%。", "团战 → 射手", "团战 → 打野"),
    "en": (
        "marksman receives 70.17 % of the attention of team fight.",
        "jungler receives 14.89 % of the attention of team fight.",
        "team fight → marksman",
        "team fight → jungler",
    ),
}

WAS = {"zh": "之前 0.7017", "en": "was 0.7017"}


async def assert_focus_is_seen(playground: Playground) -> None:
    """What has the focus is on the screen and has a ring."""
    outline, top, bottom = await playground.page.evaluate(
        "(() => { const focused = document.activeElement, box = focused.getBoundingClientRect();"
        " return [getComputedStyle(focused).outlineStyle, box.top, innerHeight - box.bottom]; })()"
    )
    assert outline != "none"
    assert top >= 0
    assert bottom >= 0


@in_chinese
async def test_change_a_feature_and_see_the_weight_move(open_page: OpenPage, server: Server, language: str) -> None:
    recorded, playground = await opened(open_page, server.url, language)
    before = await playground.cell("weights", 0, 0).evaluate("cell => getComputedStyle(cell).backgroundColor")
    await playground.tab_to(playground.field("query", 0, 0))
    await assert_focus_is_seen(playground)
    await recorded.page.keyboard.type("0")
    await expect(playground.cell("weights", 0, 0)).not_to_have_text("0.7017")
    await playground.fresh()
    # Without the need of protection, q·k/2 is 1.25, 1, 0.7, 0.4.
    assert (await playground.texts("weights"))[0] == ["0.3593", "0.2798", "0.2073", "0.1536"]
    await recorded.settle()
    after = await playground.cell("weights", 0, 0).evaluate("cell => getComputedStyle(cell).backgroundColor")
    assert after != before
    await expect(recorded.page.locator("#explain-was")).to_have_text(WAS[language])
    await recorded.page.keyboard.press("ArrowRight")
    await recorded.page.keyboard.press("ArrowDown")
    await assert_focus_is_seen(playground)
    await recorded.page.keyboard.type("1.5")
    await expect(playground.field("query", 1, 1)).to_have_value("1.5")
    await playground.fresh()
    await recorded.assert_clean()


@pytest.mark.soak
@in_english
async def test_send_the_marksman_home_and_see_the_row_renormalise(
    open_page: OpenPage, server: Server, language: str
) -> None:
    recorded, playground = await opened(open_page, server.url, language)
    await playground.tab_to(playground.cell("weights", 0, 0))
    await assert_focus_is_seen(playground)
    await recorded.page.keyboard.press("Space")
    await playground.fresh()
    assert (await playground.texts("weights"))[0] == ["0", "0.4992", "0.3346", "0.1662"]
    assert (await playground.texts("weights"))[1] == ["0.1394", "0.6567", "0.1007", "0.1033"]
    assert (await playground.texts("mask"))[0] == ["×", "✓", "✓", "✓"]
    await expect(playground.announced).to_have_text(MASKED[language])
    await expect(playground.cell("weights", 0, 0)).to_be_focused()
    await recorded.page.keyboard.press("Space")
    await playground.fresh()
    assert (await playground.texts("weights"))[0][0] == "0.7017"

    # The heading above hides him from everybody.
    await recorded.page.keyboard.press("ArrowUp")
    await recorded.page.keyboard.press("Space")
    await playground.fresh()
    assert [row[0] for row in await playground.texts("mask")] == ["×", "×"]
    assert [row[0] for row in await playground.texts("weights")] == ["0", "0"]
    await recorded.assert_clean()


@pytest.mark.soak
@in_chinese
async def test_read_why_it_is_0_7017(open_page: OpenPage, server: Server, language: str) -> None:
    recorded, playground = await opened(open_page, server.url, language)
    first, second, pair, next_pair = SENTENCES[language]
    await playground.tab_to(playground.cell("weights", 0, 0))
    await expect(recorded.page.locator("#explain-pair")).to_have_text(pair)
    await expect(recorded.page.locator("#explain-number")).to_have_text("0.7017")
    await expect(recorded.page.locator("#explain-number")).to_be_in_viewport()
    for text in ("2 × 1.9 + 1 × 1.5 + 1 × 1 + 0 × 0.3 = 6.3", "6.3 × 0.5 = 3.15", "1 / 1.42517 = 0.701669", first):
        await playground.explained(text)
    terms = await recorded.page.locator("#explain-terms .value").all_inner_texts()
    assert terms == ["3.8", "1.5", "1.0", "0"]
    await expect(recorded.page.locator("#explain-diagnostics")).to_contain_text("2.4872")
    await expect(recorded.page.locator("#explain-own")).to_contain_text("0.701669")
    await recorded.page.keyboard.press("ArrowRight")
    await expect(recorded.page.locator("#explain-pair")).to_have_text(next_pair)
    await playground.explained(second)
    await recorded.page.keyboard.press("Control+End")
    await expect(playground.cell("weights", 1, 3)).to_be_focused()
    await recorded.page.keyboard.press("Control+Home")
    await expect(playground.cell("weights", 0, 0)).to_be_focused()
    await recorded.assert_clean()
