"""The pictures of the pages.  ``python -m tests.promises.pictures`` takes them anew."""

import asyncio
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.async_api import async_playwright

from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.browser.playground import LOCALES, Playground
from tests.promises import curl
from tests.promises.readme import LANGUAGES, MANUAL, ROOT, Section, commands
from tests.server import running_server

SCREEN = {"width": 1280, "height": 720}
MAX_BYTES = 220_000
"""So that the page opens fast wherever it is read."""


def shown(language: str) -> list[Path]:
    """The pictures that the pages of a language show, the READMEs' first."""
    return [path for section in MANUAL[language] for path in pictures_of(section)]


def pictures_of(section: Section) -> list[Path]:
    """The pictures that a section shows."""
    paths = re.findall(r"!\[[^]]+\]\(([^)]+)\)", section.prose)
    return [((ROOT / section.page).parent / path).resolve() for path in paths]


def drawings(language: str) -> Iterator[tuple[Path, list[str]]]:
    """The pictures that a shown command draws, each with the command: that of its section which writes a file."""
    for section in MANUAL[language]:
        drawn = [words for kind, code in section.snippets if kind == "bash draw" for words in commands(code)]
        if drawn:
            [words] = drawn
            [path] = pictures_of(section)
            yield path, words


async def photograph(url: str) -> None:
    """Take the opening page in every language, with the story folded away."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for language in LANGUAGES:
            context = await browser.new_context(locale=LOCALES[language], viewport=SCREEN, color_scheme="light")
            page = await context.new_page()
            await page.goto(f"{url}/playground")
            playground = Playground(page)
            await playground.fresh()
            await page.locator("#story > summary").click()
            await page.mouse.move(0, SCREEN["height"] - 1)
            await playground.explained("0.701669")
            await page.screenshot(path=ROOT / "docs" / f"playground.{language}.png", animations="disabled")
        await browser.close()


def main() -> None:
    """Take all of them."""
    with tempfile.TemporaryDirectory() as directory, running_server(Path(directory)) as server:
        for language in LANGUAGES:
            for path, words in drawings(language):
                path.write_bytes(curl.send(words, server.url).content)
        asyncio.run(photograph(server.url))


if __name__ == "__main__":
    main()
