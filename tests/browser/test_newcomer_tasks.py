"""The tasks of newcomers in both languages, by mouse, touch and keyboard, with the number of their acts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.chromium import ChromiumPage
from tests.browser.conftest import OpenPage, RecordedPage
from tests.browser.hands import HANDS, Mouse
from tests.browser.newcomer import TASKS, Newcomer, walk_the_lesson
from tests.browser.playground import LOCALES
from tests.browser.scripted_playground import OpenFirefox, ScriptedPlayground, opened
from tests.sampling import sample
from tests.server import Server

CLIPBOARD = ["clipboard-read", "clipboard-write"]

WAYS = [(task, hand, language) for task in TASKS for hand in HANDS for language in LOCALES]

KEPT = [
    ("write a score function, drag its temperature", "keyboard", "en"),
]
"""What `make test` does."""


class Chromium:
    """Opens pages for a hand, and knows what they did."""

    def __init__(self, open_page: OpenPage, hand: str) -> None:
        self.recorded: list[RecordedPage] = []
        self._open_page = open_page
        self._telephone = {"width": 360, "has_touch": True, "is_mobile": True} if hand == "touch" else {}

    async def open(self, url: str, language: str) -> ScriptedPlayground:
        """Open an address in a browser of that language."""
        page = await self._open_page(url, locale=LOCALES[language], permissions=CLIPBOARD, **self._telephone)
        self.recorded.append(page)
        playground = ScriptedPlayground(ChromiumPage(page.page))
        await playground.fresh("match")
        return playground


async def do(way: tuple[str, str, str], user: Newcomer) -> str:
    """Do a task, in no more acts than it may need, and return their number as a figure."""
    task, hand, _ = way
    await TASKS[task].walk(user)
    assert user.hand.acts <= getattr(TASKS[task], hand)
    return f"{', '.join(way)}: {user.hand.acts} acts, {user.hand.moves} keys to get there"


@pytest.mark.browser
@pytest.mark.parametrize("way", sample(WAYS, *KEPT), ids="-".join)
async def test_a_task_is_done(
    open_page: OpenPage,
    server: Server,
    tmp_path: Path,
    report_figure: Callable[[str], None],
    way: tuple[str, str, str],
) -> None:
    _, hand, language = way
    chromium = Chromium(open_page, hand)
    playground = await chromium.open(f"{server.url}/playground", language)
    user = Newcomer(playground, HANDS[hand](playground.page), language, server, tmp_path, chromium.open)
    report_figure(f"newcomer: {await do(way, user)}")
    for each in chromium.recorded:
        await each.assert_clean()


@pytest.mark.browser
async def test_the_lesson_is_begun_and_left(open_page: OpenPage, server: Server, tmp_path: Path) -> None:
    chromium = Chromium(open_page, "mouse")
    playground = await chromium.open(f"{server.url}/playground", "zh")
    # Four steps, among them one that asks for a number.
    await walk_the_lesson(Newcomer(playground, Mouse(playground.page), "zh", server, tmp_path, chromium.open), 4)
    await chromium.recorded[0].assert_clean()


@pytest.mark.firefox
@pytest.mark.soak
@pytest.mark.parametrize("way", WAYS[::5], ids="-".join)
async def test_a_task_is_done_in_firefox(
    open_firefox: OpenFirefox,
    server: Server,
    tmp_path: Path,
    report_figure: Callable[[str], None],
    way: tuple[str, str, str],
) -> None:
    _, hand, language = way
    width = {"width": 360} if hand == "touch" else {}

    async def opened_in(url: str, language: str) -> ScriptedPlayground:
        return await opened(lambda _, **options: open_firefox(url, **options), server.url, language, **width)

    playground = await opened_in(f"{server.url}/playground", language)
    user = Newcomer(playground, HANDS[hand](playground.page), language, server, tmp_path, opened_in)
    report_figure(f"newcomer in Firefox: {await do(way, user)}")
    await playground.page.assert_clean()
