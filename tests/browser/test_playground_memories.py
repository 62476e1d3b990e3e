"""Memories in the playground: keep the keys of the page, compute with one that is kept, replace and delete it."""

from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.links import names_memory
from tests.browser.memory_panel import HEROES, Panel, requests_of
from tests.browser.playground import LOCALES, STAGES, Playground, opened
from tests.browser.proxy import stripping_proxy
from tests.server import Server, running_server

pytestmark = pytest.mark.browser

PRECONDITION_FAILED = "the server responded with a status of 412"

NOT_FOUND = "the server responded with a status of 404"

KEY = "key-of-memories-4711"


async def shown(playground: Playground) -> list[list[list[str]]]:
    """Return the texts of the four maps."""
    return [await playground.texts(stage) for stage in STAGES]


async def test_keys_are_kept_and_computed_with_replaced_shared_and_deleted(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient
) -> None:
    recorded, playground = await opened(open_page, server.url)
    page, panel = recorded.page, Panel(recorded.page)
    typed = await shown(playground)
    assert await panel.root.locator("#memory-panel > *").count() == 0, "nothing is made before it is opened"

    # With the keyboard alone.
    await panel.title.focus()
    await page.keyboard.press("Enter")
    await expect(panel.name).to_be_visible()
    await playground.tab_to(panel.name)
    await page.keyboard.type("browser.heroes")
    await page.keyboard.press("Enter")
    await expect(panel.row("browser.heroes")).to_contain_text("keys: 4, float64, K 4 × 4, V 4 × 3")
    await expect(playground.announced).to_have_text("Kept as “browser.heroes”, with this many keys: 4.")
    sent = requests_of(page)
    use = page.get_by_role("button", name="Use browser.heroes")
    await playground.tab_to(use)
    await page.keyboard.press("Space")
    await playground.fresh()
    version = (await client.get("/v1/memories/browser.heroes")).json()["version"]
    assert [(one["memory"], one.keys() & {"key", "value"}) for one in sent] == [
        ({"name": "browser.heroes", "version": version}, set())
    ]
    await expect(use).to_be_focused()
    await expect(use).to_have_attribute("aria-pressed", "true")
    await expect(playground.announced).to_contain_text("Keys and values come from the memory “browser.heroes”")
    assert await shown(playground) == typed
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await playground.explained("0.701669")
    await expect(page.locator("#tensor-key .source")).to_have_text("From the memory “browser.heroes”.")
    await expect(playground.field("key", 0, 0)).to_have_attribute("readonly", "")
    await playground.paste("key", "7\t7\n7\t7")
    await expect(playground.field("key", 0, 0)).to_have_value("1.9")

    # The link has the name, and the typed keys.
    await page.wait_for_url(names_memory("browser.heroes"))
    await page.reload()
    await playground.fresh()
    assert await shown(playground) == typed
    await playground.language("zh")
    await expect(panel.used).to_contain_text("键与值来自记忆“browser.heroes”（键数 4，float64，K 4 × 4，V 4 × 3）。")
    await expect(playground.map("weights").get_by_role("columnheader").first).to_have_text("marksman")
    await playground.language("en")
    await panel.used.locator("[data-action=release]").click()
    await playground.fresh()
    await expect(panel.used).to_be_hidden()
    await expect(panel.title).to_be_focused()

    # A name that is taken is replaced only when asked.
    await playground.type_into("key", 0, 0, "0.25")
    changed = await shown(playground)
    await panel.open()
    await panel.keep("browser.heroes")
    await expect(panel.question).to_contain_text("There is a memory “browser.heroes” already")
    await expect(panel.button("yes")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(panel.question).to_be_hidden()
    assert (await client.get("/v1/memories/browser.heroes")).json()["version"] == version
    await panel.button("keep").click()
    await panel.button("yes").click()
    await expect(panel.said).to_contain_text("Kept as “browser.heroes”")
    await panel.row_button("use", "browser.heroes").click()
    await playground.fresh()
    assert await shown(playground) == changed != typed

    await panel.row_button("delete", "browser.heroes").click()
    await expect(panel.question).to_contain_text("Delete the memory “browser.heroes” for good?")
    await panel.button("no").click()
    await expect(panel.row_button("delete", "browser.heroes")).to_be_focused()
    await panel.row_button("delete", "browser.heroes").click()
    await panel.button("yes").click()
    await expect(panel.said).to_have_text("“browser.heroes” has been deleted.")
    await expect(panel.row("browser.heroes")).to_have_count(0)
    await expect(panel.used).to_be_hidden()
    assert (await client.get("/v1/memories/browser.heroes")).status_code == 404
    await recorded.assert_fits()
    await recorded.assert_clean(PRECONDITION_FAILED, PRECONDITION_FAILED)


@pytest.mark.soak
async def test_with_keys_behind_a_prefix_the_panel_asks_for_a_key_and_works_with_it(
    open_page: OpenPage, tmp_path: Path
) -> None:
    prefix = "/attention"
    directory = str(tmp_path / "memories")
    with (
        running_server(tmp_path, "--root-path", prefix, API_KEYS=KEY, MEMORIES_DIRECTORY=directory) as server,
        stripping_proxy(server.url, prefix) as proxy,
    ):
        recorded = await open_page(f"{proxy.url}/playground", locale=LOCALES["zh"])
        page, panel, playground = recorded.page, Panel(recorded.page), Playground(recorded.page)
        await expect(page.locator("#api-key")).to_be_visible()
        await panel.title.click()
        await expect(panel.error).to_contain_text("服务需要 API 密钥")
        await page.locator("#api-key").fill(KEY)
        await page.locator("#api-key").press("Enter")
        await playground.fresh()
        await expect(panel.root.locator("#memory-panel .empty")).to_have_text("还没有记忆。")
        await expect(panel.error).to_be_hidden()
        await panel.keep("prefixed")
        await panel.row_button("use", "prefixed").click()
        await playground.fresh()
        await expect(playground.verification).to_have_attribute("data-state", "match")
        await page.wait_for_url(names_memory("prefixed"))

        # A link that names a memory waits for the key as well.
        await page.reload()
        await expect(panel.used).to_contain_text("无法载入记忆“prefixed”。")
        await expect(playground.results).to_have_attribute("data-state", "stale")
        await page.locator("#api-key").fill(KEY)
        await page.locator("#api-key").press("Enter")
        await playground.fresh()
        await expect(panel.used).to_contain_text("键数 4")
        await expect(playground.map("weights").get_by_role("columnheader").first).to_have_text("射手")
        assert [url for url in recorded.requests if not url.startswith(f"{proxy.url}/")] == []
        assert proxy.outside == []
        assert recorded.violations == recorded.page_errors == []


@pytest.mark.soak
@pytest.mark.parametrize("language", LOCALES)
async def test_a_service_without_memories_says_so(open_page: OpenPage, tmp_path: Path, language: str) -> None:
    said = {"zh": "这个服务不保存记忆。", "en": "This service keeps no memories."}[language]
    with running_server(tmp_path, MEMORIES_DIRECTORY="") as server:
        recorded, playground = await opened(open_page, server.url, language)
        panel = Panel(recorded.page)
        await panel.title.click()
        await expect(panel.error.locator("span")).to_have_text(said)
        await expect(panel.error.locator("small")).to_contain_text("ATTENTION_MEMORIES_DIRECTORY is empty")
        await expect(panel.name).to_be_hidden()
        await playground.type_into("query", 0, 0, "1")
        await recorded.assert_clean(NOT_FOUND)


@pytest.mark.soak
async def test_a_wrong_name_is_told_and_names_are_text(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient
) -> None:
    markup = "<img src=x onerror=alert(1)>"
    label = {**HEROES, "labels": {"key": [markup, "b", "c", "d"]}}
    await client.put("/v1/memories/browser.markup", json=label)
    recorded, playground = await opened(open_page, server.url)
    page, panel = recorded.page, Panel(recorded.page)
    await panel.open()
    for wrong in ("", "a b", "-a", "../x", "记忆", markup, "x" * 129):
        await panel.keep(wrong)
        await expect(panel.error.locator("span")).to_contain_text(f"“{wrong}” is not a possible name")
        await expect(panel.name).to_have_attribute("aria-invalid", "true")
    await playground.field("value", 0, 0).fill("abc")
    await panel.keep("browser.unreadable")
    await expect(panel.error.locator("span")).to_have_text("A key or value is not a number. Correct it first.")
    await panel.row_button("use", "browser.markup").click()
    await playground.fresh()
    await expect(playground.map("weights").get_by_role("columnheader").first).to_have_text(markup)
    assert await page.locator("img").count() == 0
    await recorded.assert_clean()


@pytest.mark.soak
async def test_a_long_list_comes_in_parts(open_page: OpenPage, tmp_path: Path) -> None:
    with running_server(tmp_path, MEMORIES_DIRECTORY=str(tmp_path / "memories")) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            for at in range(130):
                assert (await client.put(f"/v1/memories/m{at:03}", json={"key": [[at, 1]]})).status_code == 201
        recorded, _ = await opened(open_page, server.url)
        panel = Panel(recorded.page)
        await panel.open()
        await expect(panel.rows).to_have_count(100)
        await panel.button("more").click()
        await expect(panel.rows).to_have_count(130)
        await expect(panel.button("more")).to_be_hidden()
        await recorded.assert_clean()


@pytest.mark.soak
async def test_undo_goes_back_to_the_typed_keys_and_redo_to_the_memory(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient
) -> None:
    await client.put("/v1/memories/browser.undone", json=HEROES)
    recorded, playground = await opened(open_page, server.url)
    panel, undo = Panel(recorded.page), recorded.page.locator("#undo")
    field = playground.field("key", 0, 0)
    await field.fill("5")
    await field.press("Enter")
    await playground.fresh()
    await panel.open()
    await panel.row_button("use", "browser.undone").click()
    await expect(field).to_have_attribute("readonly", "")
    await playground.fresh()
    await undo.click()
    await expect(field).not_to_have_attribute("readonly", "")
    await expect(field).to_have_value("5")
    await recorded.page.locator("#redo").click()
    await expect(field).to_have_attribute("readonly", "")
    await undo.click()
    await undo.click()
    await expect(field).to_have_value("1.9")
    await expect(undo).to_be_disabled()
    await playground.fresh()
    await recorded.assert_clean()
