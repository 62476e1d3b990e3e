"""The lesson on every width, in the light and in the dark: it never covers what it speaks of."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.contrast import assert_readable
from tests.browser.lesson import STEPS, Lesson
from tests.browser.playground import LOCALES, opened
from tests.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.soak]

WIDTHS = (360, 768, 1000, 1280, 1920)

PENDING = {"zh": "正在询问服务", "en": "Asking the service"}

LAID_OUT = """
async () => {
  // Two frames: the part is scrolled to in the next.
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const part = document.querySelector("[data-lesson-part]").getBoundingClientRect();
  const lesson = document.querySelector("#lesson").getBoundingClientRect();
  const overlaps = part.left < lesson.right && part.right > lesson.left && part.top < lesson.bottom - 1;
  return {
    covered: overlaps && part.bottom > lesson.top,
    visible: part.top < innerHeight && part.bottom > 0,
    scrolls: document.documentElement.scrollWidth > innerWidth,
  };
}
"""

SMALL = """
() => [...document.querySelectorAll("#lesson button, #lesson input, #walk button")]
  .filter((each) => each.checkVisibility())
  .filter((each) => Math.min(each.offsetWidth, each.offsetHeight) < 24).map((each) => each.id)
"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", LOCALES)
async def test_the_lesson_fits_and_covers_nothing_that_it_speaks_of(
    open_page: OpenPage, server: Server, language: str, width: int
) -> None:
    recorded, playground = await opened(
        open_page, server.url, language, width=width, reduced_motion="reduce", colour_scheme="dark"
    )
    lesson, page = Lesson(playground), recorded.page
    await lesson.begin()
    for step in range(1, STEPS + 1):
        await lesson.at(step)
        for answered in (False, True):
            if answered:
                await lesson.show.click()
                await expect(lesson.verdict).not_to_contain_text(PENDING[language])
                await playground.fresh()
            assert await page.evaluate(LAID_OUT) == {"covered": False, "visible": True, "scrolls": False}, step
            assert await page.evaluate(SMALL) == []
        # The sheet of a telephone has colours of its own; wider pages share theirs.
        for scheme in ("light", "dark") if width in (360, 1280) else ():
            await page.emulate_media(color_scheme=scheme)
            await recorded.settle()
            await assert_readable(page, dark=scheme == "dark")
        await lesson.next.click()
    await expect(lesson.root).to_be_hidden()
    await recorded.assert_clean()


async def test_the_highlight_is_an_outline_that_stands_still_where_motion_is_refused(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    lesson = Lesson(playground)
    await lesson.begin()
    name = "part => getComputedStyle(part).animationName"
    assert await lesson.part.evaluate(name) == "point"
    await recorded.page.emulate_media(reduced_motion="reduce", forced_colors="active")
    assert await lesson.part.evaluate(name) == "none"
    assert await lesson.part.evaluate("part => getComputedStyle(part).outlineStyle") == "solid"
    await expect(lesson.part).to_have_attribute("aria-current", "step")
    await recorded.assert_clean()


async def test_an_example_leaves_the_lesson_and_the_edits_before_it_come_back(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    lesson = Lesson(playground)
    await playground.type_into("query", 0, 0, "3.25")
    await lesson.begin()
    await playground.choose("#example", "causal")
    await expect(lesson.root).to_be_hidden()
    await recorded.page.locator("#toast").get_by_role("button").click()
    await expect(playground.field("query", 0, 0)).to_have_value("3.25")
    await expect(lesson.root).to_be_hidden()
    await playground.fresh()
    await recorded.assert_clean()


async def test_undo_leads_out_of_the_lesson_and_redo_back_into_it(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    lesson, page = Lesson(playground), recorded.page
    await lesson.begin()
    await lesson.go(2)
    await page.locator("#undo").click()
    await lesson.at(1)
    await page.locator("#undo").click()
    await expect(lesson.root).to_be_hidden()
    await playground.fresh()
    await page.locator("#redo").click()
    await lesson.at(1)
    await page.locator("#lesson-leave").click()
    await expect(playground.field("query", 1, 3)).to_have_value("2")
    await expect(page.locator("#undo")).to_be_disabled()
    await playground.fresh()
    await recorded.assert_clean()


async def test_without_the_service_a_step_says_so_and_can_be_begun_again(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    lesson, page = Lesson(playground), recorded.page
    await lesson.begin()
    await lesson.go(3)
    await page.route("**/v1/examples/why-sqrt-d", lambda route: route.abort())
    await lesson.next.click()
    await expect(playground.notice("problem")).to_be_visible()
    await lesson.at(3)
    await page.unroute("**/v1/examples/why-sqrt-d")
    await lesson.next.click()
    await lesson.at(4)
    await recorded.assert_clean("ERR_FAILED")
