"""A service with API keys in a browser: the playground has a field for one, Swagger UI sends the authorised one."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Request, expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import LOCALES, Playground, opened
from tests.browser.swagger import Attention
from tests.sampling import sample
from tests.server import Server, running_server

pytestmark = pytest.mark.browser

KEY, WRONG = "first-key-4711", "guessed-key-1234"

UNAUTHORIZED = "the server responded with a status of 401"

LABELS = {"zh": "API 密钥", "en": "API key"}

ASKED = {"zh": "服务需要 API 密钥。请在页面顶部输入", "en": "The service asks for an API key. Enter it at the top"}

NO_RESULT = {"zh": "还没有结果", "en": "There is no result yet"}

KEPT = """
async key => [localStorage, sessionStorage].some((store) => JSON.stringify(store).includes(key))
  || document.cookie.includes(key) || location.href.includes(key) || (await indexedDB.databases()).length > 0
"""


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("keyed"), API_KEYS=KEY) as server:
        yield server


@pytest.mark.parametrize("language", sample(LOCALES, "en"))
async def test_the_playground_asks_for_a_key_and_forgets_it(open_page: OpenPage, keyed: Server, language: str) -> None:
    recorded = await open_page(f"{keyed.url}/playground", locale=LOCALES[language])
    page, playground = recorded.page, Playground(recorded.page)
    field = page.get_by_label(LABELS[language])
    await expect(playground.notice("problem")).to_contain_text(ASKED[language])
    await expect(field).to_be_visible()
    await expect(field).to_have_attribute("type", "password")
    await expect(page.locator("#status")).to_have_text(NO_RESULT[language])
    await expect(playground.verification).to_have_text("")
    await recorded.assert_fits()

    # The field has the focus, and typing alone tries the key.
    await expect(field).to_be_focused()
    await page.keyboard.type(KEY)
    await playground.fresh()
    await field.fill(WRONG)
    await field.press("Enter")
    await expect(playground.notice("problem")).to_contain_text("received another")
    await field.fill(KEY)
    await field.press("Enter")
    await playground.fresh()
    await expect(playground.notice("problem")).to_have_count(0)
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await playground.explained("0.701669")
    await playground.choose("#normalizer", "sparsemax")

    await page.locator("#share").click()
    assert not await page.evaluate(KEPT, KEY)
    await page.reload()
    await expect(playground.notice("problem")).to_contain_text(ASKED[language])
    await expect(field).to_have_value("")
    assert recorded.violations == recorded.page_errors == recorded.foreign_requests == []
    assert all(UNAUTHORIZED in error for error in recorded.console_errors)


@pytest.mark.soak
async def test_the_playground_of_a_service_without_keys_shows_no_field(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    await expect(recorded.page.locator("#api-key")).to_be_hidden()
    await recorded.assert_clean()


@pytest.mark.soak
async def test_swagger_ui_asks_for_one_key_once_and_sends_it(open_page: OpenPage, keyed: Server) -> None:
    recorded = await open_page(f"{keyed.url}/docs")
    page, attention = recorded.page, Attention(recorded.page)
    sent: list[Request] = []

    def note(request: Request) -> None:
        sent.append(request)

    page.on("request", note)
    await attention.open()
    assert await attention.execute() == 401

    dialog = page.get_by_role("dialog")
    for typed, status in ((f"Bearer {KEY}", 401), (KEY, 200)):
        await page.locator(".auth-wrapper .authorize").first.click()
        await expect(dialog.locator("form")).to_have_count(1)
        await expect(dialog).to_contain_text("Enter the key alone")
        await expect(dialog).to_contain_text("one of the two is enough")
        await expect(dialog).to_contain_text("二者取一即可")
        await dialog.locator("input").fill(typed)
        await dialog.get_by_role("button", name="Apply credentials").click()
        await dialog.get_by_role("button", name="Close").first.click()
        assert await attention.execute() == status
        headers = await [request for request in sent if request.url.endswith("/v1/attention")][-1].all_headers()
        assert headers["authorization"] == f"Bearer {typed}"
        assert "x-api-key" not in headers
        assert not await page.evaluate(KEPT, KEY)
        if status == 401:
            assert "received it twice" in (await attention.answered())["detail"]

        await page.locator(".auth-wrapper .authorize").first.click()
        await dialog.get_by_role("button", name="Remove authorization").click()
        await dialog.get_by_role("button", name="Close").first.click()
    await recorded.assert_clean(UNAUTHORIZED, UNAUTHORIZED)
