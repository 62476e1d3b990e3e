"""Colours: one table of viridis for pictures and the page, and text that can be read on every one of them."""

import re
from pathlib import Path

import pytest

from attention_heat_map.viridis import VIRIDIS, contrast
from tests.browser.conftest import OpenPage
from tests.browser.playground import opened
from tests.server import Server

PAGES = Path(__file__).parent.parent.parent / "service" / "pages" / "playground"


def test_the_page_and_the_pictures_have_the_same_viridis() -> None:
    digits = re.findall(r"^[0-9a-f]{96}$", (PAGES / "maps" / "viridis.js").read_text(encoding="utf-8"), re.MULTILINE)
    table = re.findall(r".{6}", "".join(digits))
    assert [f"#{colour}" for colour in table] == list(VIRIDIS)


COLOURS = """
async () => {
  const { sequential, diverging, readableOn } = await import("./static/playground/maps/colours.js");
  const shares = Array.from({ length: 201 }, (_, step) => step / 200);
  const backgrounds = [
    ...shares.map(sequential),
    ...["light", "dark"].flatMap((theme) => shares.map((share) => diverging(2 * share - 1, theme))),
  ];
  return backgrounds.map((background) => [background, readableOn(background)]);
}
"""


@pytest.mark.browser
async def test_numbers_can_be_read_on_every_colour(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    pairs = await recorded.page.evaluate(COLOURS)
    assert len({background for background, _ in pairs}) > 400
    assert min(contrast(background, ink) for background, ink in pairs) >= 4.5
