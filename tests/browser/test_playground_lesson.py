"""The lesson: predict first, then see; who leaves it finds everything as it was."""

import json
import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.lesson import STEPS, Lesson
from tests.browser.links import fragment, read
from tests.browser.playground import opened
from tests.server import Server

pytestmark = pytest.mark.browser


@pytest.mark.soak
async def test_leaving_brings_back_numbers_and_what_can_be_undone(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    lesson, page = Lesson(playground), recorded.page
    await playground.type_into("query", 0, 0, "3.25")
    await page.locator("#tab-table").click()
    await lesson.begin()
    await lesson.go(2)
    await lesson.choices.first.click()
    await expect(lesson.verdict).to_have_attribute("data-judgement", "wrong")
    await expect(lesson.root.locator('[data-right="true"]')).to_have_text("✓ It falls")
    # In the lesson an edit is undone as everywhere.
    await playground.fresh()
    await page.locator("#undo").click()
    await lesson.at(2)
    await expect(playground.field("key", 0, 0)).to_have_value("1.9")
    await page.locator("#lesson-leave").click()
    await expect(page.locator("#learn")).to_be_focused()
    await expect(playground.field("query", 0, 0)).to_have_value("3.25")
    await expect(page.locator("#view-other")).to_be_visible()
    await playground.fresh()
    await page.locator("#undo").click()
    await expect(playground.field("query", 0, 0)).to_have_value("2")
    await expect(page.locator("#undo")).to_be_disabled()
    await expect(lesson.root).to_be_hidden()
    await playground.fresh()
    await recorded.assert_clean()


@pytest.mark.soak
async def test_a_link_sends_a_step_without_its_answer_and_a_reload_keeps_all(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    lesson, page = Lesson(playground), recorded.page
    await page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    await playground.type_into("value", 0, 0, "0.5")
    await lesson.begin()
    await lesson.go(4)
    await lesson.choices.nth(2).click()
    await lesson.at(4, answered=True)
    await page.locator("#share").click()
    await expect(page.locator("#toast")).to_be_visible()
    link = await page.evaluate("window.copied")
    assert read(link)["l"] == [3, None, None]
    assert read(link)["s"][0] == "dot_product"

    pupil = await open_page(link, locale="zh-CN")
    again = Lesson(type(playground)(pupil.page))
    await again.at(4)
    await expect(again.title).to_have_text("为什么要除以 √D")
    await again.choices.nth(2).click()
    await again.at(4, answered=True)
    await pupil.page.locator("#lesson-leave").click()
    await expect(again.playground.field("query", 1, 3)).to_have_value("2")
    await again.playground.fresh()
    await pupil.assert_clean()

    await expect(page).to_have_url(re.compile("#2[.]"))
    await page.wait_for_function("history.state?.aside")
    await page.reload()
    await lesson.at(4, answered=True)
    await page.locator("#lesson-leave").click()
    await expect(playground.field("value", 0, 0)).to_have_value("0.5")
    await playground.fresh()
    await recorded.assert_clean()


@pytest.mark.soak
async def test_what_gives_the_answer_away_is_covered_until_there_is_one(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    lesson, page = Lesson(playground), recorded.page
    await lesson.begin()
    await lesson.go(3)
    for stage in ("scores", "weights", "output"):
        await expect(playground.map(stage)).to_be_hidden()
    await expect(page.locator("#explain-number")).to_be_hidden()
    await expect(page.locator("#story")).to_be_hidden()
    view = page.locator("#view-other")
    for name in await page.locator("#views [role=tab]:not(#tab-maps)").evaluate_all("tabs => tabs.map(({id}) => id)"):
        await page.locator(f"#{name}").click()
        await expect(view).to_have_attribute("aria-labelledby", name)
        assert await view.inner_text() == ""
    await lesson.number.fill("six")
    await page.keyboard.press("Enter")
    await expect(page.locator("#lesson-problem")).to_have_text("“six” is not a possible value.")
    await lesson.number.fill("6")
    await page.keyboard.press("Enter")
    await expect(lesson.verdict).to_have_attribute("data-judgement", "wrong")
    await expect(lesson.verdict).to_be_focused()
    await expect(view).to_contain_text("Scores", use_inner_text=True)
    await page.locator("#tab-maps").click()
    for stage in ("scores", "weights", "output"):
        await expect(playground.map(stage)).to_be_visible()
    # Other numbers have another answer, and the step says that they are others.
    await playground.type_into("key", 0, 3, "1")
    await playground.type_into("query", 0, 3, "2")
    await expect(page.locator("#lesson-edited")).to_be_visible()
    await expect(lesson.verdict).to_contain_text("2 × 1.9 + 1 × 1.5 + 1 × 1 + 2 × 1 = 8.3")
    await page.locator("#lesson-reset").click()
    await lesson.at(3)
    await expect(page.locator("#lesson-edited")).to_be_hidden()
    await expect(playground.field("key", 0, 3)).to_have_value("0.3")
    await recorded.assert_clean()


@pytest.mark.soak
@pytest.mark.parametrize(
    "spoiled",
    [
        [],
        [STEPS, None, None],
        [-1, None, None],
        [0, 1000, [1]],
        [0, "yes", [1]],
        [0, 1, None],
        [0, None, [1]],
        [0, 1, ["a"]],
    ],
    ids=json.dumps,
)
async def test_a_link_with_no_such_step_or_answer_is_refused(
    open_page: OpenPage, server: Server, spoiled: object
) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.type_into("query", 0, 0, "1")
    await expect(recorded.page).to_have_url(re.compile("#2[.]"))
    document = read(recorded.page.url) | {"l": spoiled}
    await recorded.page.evaluate("fragment => { location.hash = fragment }", fragment(document))
    await expect(playground.notice("link")).to_be_visible()
    await expect(Lesson(playground).root).to_be_hidden()
    await recorded.assert_clean()
