"""Light and dark: both follow the reader's wish and both can be read."""

import pytest

from tests.browser.conftest import Visit, Visiting
from tests.browser.contrast import assert_readable
from tests.browser.swagger import Attention
from tests.server import Server

pytestmark = pytest.mark.browser


async def assert_follows(visited: Visit) -> None:
    """In the dark, as it was opened, and in the light, when the reader changes to it."""
    await visited.page.mouse.move(0, 0)
    for scheme in ("dark", "light"):
        await visited.page.emulate_media(color_scheme=scheme)
        await visited.settle()
        await assert_readable(visited.page, dark=scheme == "dark")


async def test_swagger_ui(visit: Visiting, server: Server) -> None:
    visited = await visit(f"{server.url}/docs", colour_scheme="dark")
    attention = Attention(visited.page)
    await attention.open()
    await attention.execute()
    await assert_follows(visited)
    await attention.open_schema()
    await attention.schema_of("score_model")
    await assert_follows(visited)
    await visited.assert_clean()


async def test_a_problem_page(visit: Visiting, server: Server) -> None:
    visited = await visit(f"{server.url}/problems/shape-mismatch", colour_scheme="dark")
    await assert_follows(visited)
    await visited.assert_clean()
