"""Light and dark: both follow the reader's wish and both can be read."""

import pytest

from tests.browser.conftest import OpenPage, RecordedPage
from tests.browser.contrast import assert_readable
from tests.browser.swagger import Attention
from tests.server import Server

pytestmark = pytest.mark.browser


async def assert_follows(recorded: RecordedPage) -> None:
    """In the dark, as it was opened, and in the light, when the reader changes to it."""
    await recorded.page.mouse.move(0, 0)
    for scheme in ("dark", "light"):
        await recorded.page.emulate_media(color_scheme=scheme)
        await recorded.settle()
        await assert_readable(recorded.page, dark=scheme == "dark")


@pytest.mark.soak
async def test_swagger_ui(open_page: OpenPage, server: Server) -> None:
    recorded = await open_page(f"{server.url}/docs", colour_scheme="dark")
    attention = Attention(recorded.page)
    await attention.open()
    await attention.execute()
    await assert_follows(recorded)
    await attention.open_schema()
    await attention.schema_of("score_model")
    await assert_follows(recorded)
    await recorded.assert_clean()


async def test_a_problem_page(open_page: OpenPage, server: Server) -> None:
    recorded = await open_page(f"{server.url}/problems/shape-mismatch", colour_scheme="dark")
    await assert_follows(recorded)
    await recorded.assert_clean()
