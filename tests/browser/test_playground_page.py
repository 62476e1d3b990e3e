"""The page itself: the first thing that a person sees, at home on this server alone."""

import pytest
from playwright.async_api import expect

from service.examples import load_examples
from tests.browser.conftest import OpenPage
from tests.browser.playground import LOCALES, TAGS, Playground, opened
from tests.sampling import sample
from tests.server import Server

pytestmark = pytest.mark.browser

TITLES = {"zh": "注意力演练场", "en": "Attention playground"}


@pytest.mark.parametrize("language", sample(LOCALES, "zh"))
async def test_the_front_page_opens_with_honor_of_kings_in_the_language_of_the_reader(
    open_page: OpenPage, server: Server, language: str
) -> None:
    recorded = await open_page(f"{server.url}/", locale=LOCALES[language])
    playground = Playground(recorded.page)
    await playground.fresh()
    assert recorded.page.url == f"{server.url}/playground"
    assert await recorded.page.title() == TITLES[language]
    await expect(recorded.page.locator("html")).to_have_attribute("lang", TAGS[language])
    assert (await playground.texts("weights"))[0] == ["0.7017", "0.1489", "0.0998", "0.0496"]
    assert (await playground.texts("weights"))[1] == ["0.1394", "0.6567", "0.1007", "0.1033"]
    assert (await playground.texts("output"))[0] == ["0.7365", "0.3242", "0.1991"]

    example = load_examples()["honor-of-kings"]
    assert example.story[language] in await recorded.page.locator("#story").inner_text()
    assert example.names is not None
    heads = await playground.map("weights").get_by_role("columnheader").all_inner_texts()
    assert heads == example.names[language]["key"]
    assert (
        await playground.decision.inner_text()
        == {
            "zh": "团战：最关注射手（70%）；输出最大的是“保护”。",
            "en": "team fight: attends most to marksman (70\u00a0%); the largest output is protect.",
        }[language]
    )
    await playground.explained("0.701669")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_an_unknown_language_reads_english_and_the_choice_is_remembered(
    open_page: OpenPage, server: Server
) -> None:
    recorded = await open_page(f"{server.url}/playground", locale="fr-FR")
    playground = Playground(recorded.page)
    await playground.fresh()
    assert await recorded.page.title() == TITLES["en"]
    await playground.language("zh")
    await recorded.page.goto(f"{server.url}/playground")
    await playground.fresh()
    assert await recorded.page.title() == TITLES["zh"]
    await recorded.assert_clean()


@pytest.mark.soak
async def test_blocked_storage_does_not_matter(open_page: OpenPage, server: Server) -> None:
    recorded = await open_page(f"{server.url}/livez", locale="zh-CN")
    await recorded.page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });"
    )
    await recorded.page.goto(f"{server.url}/playground")
    playground = Playground(recorded.page)
    await playground.fresh()
    await playground.language("en")
    await recorded.page.locator("#theme").click()
    await expect(recorded.page.locator("html")).to_have_attribute("data-theme", "dark")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_nothing_is_stored_but_language_and_theme(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.language("zh")
    await recorded.page.locator("#theme").click()
    await playground.type_into("query", 0, 0, "1.25")
    stored = await recorded.page.evaluate("({ ...localStorage, ...sessionStorage })")
    assert stored == {"attention-playground.language": "zh", "attention-playground.theme": "dark"}
    assert await recorded.page.evaluate("document.cookie") == ""
