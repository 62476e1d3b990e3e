"""What the playground says when a memory is refused, has changed, or is gone."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from playwright.async_api import Page, Route, expect

from service.problems import PROBLEMS
from tests.browser.conftest import OpenPage
from tests.browser.links import names_memory
from tests.browser.memory_panel import HEROES, Panel
from tests.browser.playground import LOCALES, opened
from tests.server import Server

pytestmark = pytest.mark.browser

WORDS = [
    ("put", "insufficient-storage", "**/v1/memories/*"),
    ("put", "too-large", "**/v1/memories/*"),
    ("put", "precondition-failed", "**/v1/memories/*"),
    ("put", "memories-unavailable", "**/v1/memories/*"),
    ("load", "memory-damaged", "**/v1/memories/*/tensors"),
    ("ask", "memory-damaged", "**/v1/attention"),
    ("ask", "conflict", "**/v1/attention"),
]


def refusing(slug: str, method: str) -> Callable[[Route], Awaitable[None]]:
    """Answer requests of a method with a problem, and let the others pass."""

    async def answer(route: Route) -> None:
        if route.request.method != method:
            await route.continue_()
            return
        document = {"type": f"/problems/{slug}", "title": slug, "status": PROBLEMS[slug].status, "detail": "as told"}
        await route.fulfill(
            status=PROBLEMS[slug].status, json=document, headers={"Content-Type": "application/problem+json"}
        )

    return answer


@pytest.mark.soak
@pytest.mark.parametrize("language", LOCALES)
async def test_problems_are_told_in_the_words_of_the_page(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient, language: str
) -> None:
    name = f"words.{language}"
    await client.put(f"/v1/memories/{name}", json=HEROES)
    recorded, playground = await opened(open_page, server.url, language)
    page, panel = recorded.page, Panel(recorded.page)
    await panel.open()
    for when, slug, path in WORDS:
        text = getattr(PROBLEMS[slug].in_playground, language)
        method = {"put": "PUT", "load": "GET", "ask": "POST"}[when]
        await page.route(path, refusing(slug, method))
        if when == "put":
            await panel.keep(f"{name}.new")
            if slug == "precondition-failed":
                # The name is taken for the page, and then it is not there.
                text = {"zh": "没有这个记忆", "en": "There is no such memory"}[language]
        else:
            await panel.row_button("use", name).click()
        place = playground.notice("problem").locator("span") if when == "ask" else panel.error.locator("span")
        await expect(place).to_contain_text(text)
        await expect(panel.root.locator("small").get_by_text("as told")).to_have_count(
            1 if when != "ask" and slug != "precondition-failed" else 0
        )
        if when == "load":
            await expect(panel.used).to_contain_text(name)
            await expect(playground.results).to_have_attribute("data-state", "stale")
        await page.unroute(path)
        if when != "put":
            await panel.row_button("use", name).click()
            await playground.fresh()
            await expect(playground.notice("problem")).to_have_count(0)
            await expect(panel.error).to_be_hidden()
    assert recorded.page_errors == recorded.violations == []


@pytest.mark.soak
async def test_a_memory_that_changes_or_goes_meanwhile_is_not_computed_with_unnoticed(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient
) -> None:
    path = "/v1/memories/browser.changing"
    await client.put(path, json=HEROES)
    recorded, playground = await opened(open_page, server.url)
    page, panel = recorded.page, Panel(recorded.page)
    await panel.open()
    await panel.row_button("use", "browser.changing").click()
    await playground.fresh()
    for slug, changing in (
        ("conflict", client.put(path, json={**HEROES, "key": [[0, 0, 0, 1]] * 4})),
        (None, client.delete(path)),
    ):
        assert (await changing).is_success
        await playground.field("query", 0, 0).fill("0.5" if slug else "0.25")
        if slug is None:
            await expect(playground.error("memory")).to_contain_text("There is no such memory")
            break
        await expect(playground.notice("problem")).to_contain_text(PROBLEMS[slug].in_playground.en)
        await panel.row_button("use", "browser.changing").click()
        await playground.fresh()
        await expect(playground.field("key", 0, 0)).to_have_value("0")
    # The version in the list is an old one: it is neither replaced nor deleted.
    await client.put(path, json=HEROES)
    await panel.row_button("delete", "browser.changing").click()
    await panel.button("yes").click()
    await expect(panel.error).to_contain_text(PROBLEMS["precondition-failed"].in_playground.en)
    assert (await client.get(path)).status_code == 200
    await panel.used.locator("[data-action=release]").click()
    await playground.fresh()
    await expect(playground.field("key", 0, 0)).to_have_value("1.9")
    assert recorded.page_errors == recorded.violations == []
    # A link to one that is gone offers the way back to typed keys.
    await panel.row_button("use", "browser.changing").click()
    await playground.fresh()
    await page.wait_for_url(names_memory("browser.changing"))
    await client.delete(path)
    await page.reload()
    await expect(panel.error).to_contain_text("There is no such memory")
    await panel.used.locator("[data-action=release]").click()
    await playground.fresh()
    await expect(playground.field("key", 0, 0)).to_have_value("1.9")


async def online_again(page: Page) -> None:
    """Connect a page, and wait until it is connected."""
    await page.context.set_offline(False)
    await page.wait_for_function("fetch('/livez').then((answer) => answer.ok, () => false)")


@pytest.mark.soak
async def test_without_a_connection_the_panel_says_so_and_comes_later(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    page, panel = recorded.page, Panel(recorded.page)
    await page.context.set_offline(True)
    await panel.open()
    await expect(panel.error).to_contain_text("The service cannot be reached.")
    await online_again(page)
    await panel.title.click()
    await panel.open()
    await expect(panel.error).to_be_hidden()
    await expect(panel.button("keep")).to_be_enabled()
    await page.context.set_offline(True)
    await panel.keep("offline")
    await expect(panel.error).to_contain_text("The service cannot be reached.")
    await online_again(page)
    await panel.button("keep").click()
    await expect(panel.said).to_contain_text("Kept as “offline”")
    await expect(panel.error).to_be_hidden()
    assert recorded.page_errors == recorded.violations == []


@pytest.mark.soak
async def test_a_click_while_the_panel_is_busy_is_carried_out_and_a_second_one_is_not(
    open_page: OpenPage, server: Server
) -> None:
    recorded, _ = await opened(open_page, server.url)
    page, panel = recorded.page, Panel(recorded.page)
    gate = asyncio.Event()
    kept = []

    async def wait(route: Route) -> None:
        if route.request.method == "PUT":
            kept.append(route.request.url)
        else:
            await gate.wait()
        await route.continue_()

    await page.route("**/v1/memories**", wait)
    await page.route("**/v1/memories/**", wait)
    await panel.open()
    await panel.keep("impatient")
    await panel.button("keep").click()
    gate.set()
    await expect(panel.said).to_contain_text("Kept as “impatient”")
    await expect(panel.row("impatient")).to_be_visible()
    assert len(kept) == 1
    await recorded.assert_clean()
