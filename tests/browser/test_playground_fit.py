"""Whatever the sizes and the width: no map and no grid is clipped, and no word is broken."""

import json
import random

import pytest
from playwright.async_api import TimeoutError as Timeout
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import LOCALES, Playground, opened
from tests.server import Server

pytestmark = pytest.mark.browser

WIDTHS = (360, 768, 1280, 1440, 1920)

SIZES = ((2, 4, 4, 3), (3, 5, 5, 5), (6, 6, 3, 7), (5, 12, 6, 4), (20, 24, 4, 2), (40, 128, 2, 64), (1, 1, 1, 1))
"""Queries, keys, features of both, features of values."""

SIZES_IN_TURN = [(sizes, list(LOCALES)[turn % len(LOCALES)]) for turn, sizes in enumerate(SIZES)]
"""Each size in one language; the comparison of two settings has it in the other."""

CLIPPED = """
(width) => {
  const found = innerWidth === width ? [] : [`the window is ${innerWidth} pixels wide`];
  const isShown = (element) => element.checkVisibility();
  for (const scroller of document.querySelectorAll(".stage .scroller")) {
    if (isShown(scroller) && scroller.scrollWidth > scroller.clientWidth) found.push(scroller.parentElement.id);
  }
  for (const cell of document.querySelectorAll(".map td[role=gridcell]")) {
    const text = document.createRange();
    text.selectNodeContents(cell);
    if (text.getBoundingClientRect().width > cell.getBoundingClientRect().width + 0.5) found.push(cell.outerHTML);
  }
  for (const name of document.querySelectorAll('.map[data-heads="upright"] thead th')) {
    if (isShown(name) && name.scrollWidth > name.clientWidth) found.push(name.outerHTML);
  }
  for (const field of document.querySelectorAll(".grid td input")) {
    if (isShown(field) && field.scrollWidth > field.clientWidth + 1) found.push(field.outerHTML);
  }
  const { scrollWidth, scrollHeight } = document.documentElement;
  if (scrollWidth > innerWidth) found.push("the page");
  // On a wide screen the panels scroll, and the page does not.
  if (innerWidth >= 1180 && scrollHeight > innerHeight) found.push("the height of the page");
  return found;
}
"""


def as_text(draw: random.Random, rows: int, columns: int) -> str:
    return "".join("\t".join(f"{draw.gauss(0, 1.5):.2f}" for _ in range(columns)) + "\n" for _ in range(rows))


async def fill(playground: Playground, sizes: tuple[int, int, int, int]) -> None:
    draw = random.Random(sizes[1])
    queries, keys, features, values = sizes
    for name, shape in {"query": (queries, features), "key": (keys, features), "value": (keys, values)}.items():
        await playground.paste(name, as_text(draw, *shape))
    await playground.fresh()


async def assert_fits(playground: Playground, width: int) -> None:
    """Wait until the page has followed the new width, and name the parts that stay clipped."""
    await playground.page.set_viewport_size({"width": width, "height": 900})
    try:
        await playground.page.wait_for_function(f"(width) => !({CLIPPED})(width).length", arg=width)
    except Timeout:
        pytest.fail(f"clipped at {width} pixels: {await playground.page.evaluate(CLIPPED, width)}")


async def test_six_keys_fit_a_laptop(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url, width=1440)
    await fill(playground, (6, 6, 6, 5))
    await assert_fits(playground, 1440)
    # The grids are as wide as their sixth column, and its name stands in whole words.
    grids = await recorded.page.evaluate(
        "[...document.querySelectorAll('.inputs .scroller')].map((each) => each.scrollWidth - each.clientWidth)"
    )
    assert max(grids) <= 1
    # So are numbers of three decimals in the columns of a request that is pasted.
    matrix = [[-8.882, 1.5, -4.243], [7.483, 1, 0]]
    await playground.paste("query", json.dumps(dict.fromkeys(("query", "key", "value"), matrix)))
    await expect(playground.field("query", 0, 0)).to_have_value("−8.882")
    await playground.fresh()
    await assert_fits(playground, 1440)
    assert recorded.page_errors == []


@pytest.mark.soak
@pytest.mark.parametrize(("sizes", "language"), SIZES_IN_TURN)
async def test_every_size_fits_every_width(
    open_page: OpenPage, server: Server, language: str, sizes: tuple[int, int, int, int]
) -> None:
    recorded, playground = await opened(open_page, server.url, language)
    await fill(playground, sizes)
    for width in WIDTHS:
        await assert_fits(playground, width)
    for normalizer in ("sparsemax", "none"):
        await playground.choose("#normalizer", normalizer)
        await assert_fits(playground, 1280)
    assert recorded.page_errors == []


@pytest.mark.soak
async def test_the_opening_example_fits_and_breaks_no_word(open_page: OpenPage, server: Server) -> None:
    for language in LOCALES:
        recorded, playground = await opened(open_page, server.url, language)
        for width in range(360, 1921, 120):
            await assert_fits(playground, width)
        await recorded.assert_clean()
