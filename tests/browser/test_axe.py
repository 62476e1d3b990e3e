"""Every page keeps the rules of axe-core, in each language and colour scheme, closed and opened."""

from collections.abc import Iterator

import pytest

from tests.browser.axe import assert_accessible
from tests.browser.conftest import OpenPage
from tests.browser.playground import LOCALES, opened
from tests.browser.swagger import Attention
from tests.sampling import sample
from tests.server import Server, running_server

pytestmark = [pytest.mark.browser, pytest.mark.npm]

LOOKS = [(language, scheme) for language in LOCALES for scheme in ("light", "dark")]

DIFFERENT_LOOKS = (("zh", "dark"), ("en", "light"))
"""Each language and each colour scheme once."""


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("keyed"), API_KEYS="first-key-4711") as server:
        yield server


@pytest.mark.soak
@pytest.mark.parametrize("look", DIFFERENT_LOOKS)
async def test_swagger_ui_is_accessible_closed_opened_and_answered(
    open_page: OpenPage, server: Server, look: tuple[str, str]
) -> None:
    language, scheme = look
    recorded = await open_page(f"{server.url}/docs", locale=LOCALES[language], colour_scheme=scheme)
    page, attention = recorded.page, Attention(recorded.page)
    await page.locator(".opblock").first.wait_for()
    await assert_accessible(page)
    await attention.open()
    assert await attention.execute() == 200
    await recorded.settle()
    await assert_accessible(page)
    for operation in ("catalogue-get_example", "memories-put_memory", "open_inference-infer"):
        await page.locator(f"#operations-{operation} .opblock-summary-control").click()
    await attention.open_schema()
    await attention.schema_of("mask")
    await recorded.settle()
    await assert_accessible(page)
    await recorded.assert_clean()


@pytest.mark.soak
@pytest.mark.parametrize("scheme", sample(["light", "dark"], "light"))
async def test_the_form_for_the_key_is_accessible(open_page: OpenPage, keyed: Server, scheme: str) -> None:
    recorded = await open_page(f"{keyed.url}/docs", colour_scheme=scheme)
    await recorded.page.locator(".auth-wrapper .authorize").first.click()
    await recorded.page.locator(".modal-ux").wait_for()
    await recorded.settle()
    await assert_accessible(recorded.page)


@pytest.mark.parametrize("look", sample(LOOKS, ("en", "light")))
async def test_plain_pages_are_accessible(open_page: OpenPage, server: Server, look: tuple[str, str]) -> None:
    language, scheme = look
    recorded = await open_page(f"{server.url}/problems", locale=LOCALES[language], colour_scheme=scheme)
    await assert_accessible(recorded.page)
    for path in ("problems/shape-mismatch", "no-such-page"):
        await recorded.page.goto(f"{server.url}/{path}")
        await assert_accessible(recorded.page)


@pytest.mark.parametrize("look", sample(LOOKS, ("zh", "light")))
async def test_the_playground_is_accessible(open_page: OpenPage, server: Server, look: tuple[str, str]) -> None:
    language, scheme = look
    # The front page sends browsers to the playground.
    recorded, playground = await opened(open_page, server.url, language, colour_scheme=scheme)
    page = recorded.page
    await recorded.settle()
    await assert_accessible(page)
    await page.locator("#tab-table").click()
    await page.locator("#view-other .plain").first.wait_for()
    await assert_accessible(page)
    await page.locator("#tab-maps").click()
    for folded in ("#further", "#memory"):
        await page.locator(f"{folded} > summary").click()
    await playground.choose("#score-model", "additive")
    await recorded.settle()
    await assert_accessible(page)


@pytest.mark.soak
async def test_the_explanation_scrolls_by_keys(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    explain = recorded.page.locator("#explain")
    await playground.tab_to(explain)
    await recorded.page.keyboard.press("End")
    await recorded.page.wait_for_function("() => document.querySelector('#explain').scrollTop > 0")
    await recorded.assert_clean()


VIEWS = ("compare", "sweep", "flow", "heads", "overview", "gradients", "check", "request", "export", "table")


@pytest.mark.soak
@pytest.mark.parametrize(("width", "look"), [(360, DIFFERENT_LOOKS[0]), (1280, DIFFERENT_LOOKS[1])])
async def test_every_view_and_the_lesson_are_accessible(
    open_page: OpenPage, server: Server, look: tuple[str, str], width: int
) -> None:
    language, scheme = look
    recorded, playground = await opened(open_page, server.url, language, colour_scheme=scheme, width=width)
    page = recorded.page
    for view in VIEWS:
        await page.locator(f"#tab-{view}").click()
        await page.locator(f"#view-other > .view-{view}").wait_for()
        await recorded.settle()
        await assert_accessible(page)
    await page.locator("#learn").click()
    await playground.fresh()
    await assert_accessible(page)
