"""A path that is none: a page for a browser, a problem document for a program."""

import httpx
import pytest
from playwright.async_api import expect

from service.routes.page_headers import page_headers
from tests.browser.conftest import OpenPage
from tests.server import Server

BROWSERS = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "text/html",
)

PROGRAMS = (None, "*/*", "application/json", "application/json, text/html;q=0.5", "text/html;q=0")


@pytest.mark.parametrize("path", ["/foo", "/foo/bar", "/problems/nothing", "/static/nothing.js", "/metrics/", "/v3"])
async def test_a_browser_gets_a_page_and_a_program_a_problem(client: httpx.AsyncClient, path: str) -> None:
    for accept in BROWSERS:
        page = await client.get(path, headers={"Accept": accept})
        assert (page.status_code, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
        assert {name: page.headers[name] for name in page_headers()} == page_headers()
        assert page.headers["Vary"] == "Accept, Accept-Encoding"
        assert path in page.text
    for accept in PROGRAMS:
        document = await client.get(path, headers={"Accept": accept} if accept else {})
        assert (document.status_code, document.json()["type"]) == (404, "/problems/not-found")


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/examples/nothing", "/v2/nothing"])
async def test_below_the_api_an_error_is_a_document_whatever_is_accepted(client: httpx.AsyncClient, path: str) -> None:
    received = await client.get(path, headers={"Accept": BROWSERS[0]})
    assert (received.status_code, received.json()["type"]) == (404, "/problems/not-found")


async def test_a_path_is_text_in_the_page(client: httpx.AsyncClient) -> None:
    received = await client.get("/%3Cscript%3Ealert(1)%3C/script%3E{root}", headers={"Accept": BROWSERS[0]})
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{root}" in received.text
    assert "<script" not in received.text


async def test_another_method_is_a_problem(client: httpx.AsyncClient) -> None:
    assert (await client.post("/foo", headers={"Accept": BROWSERS[0]})).json()["type"] == "/problems/not-found"
    assert (await client.post("/docs", headers={"Accept": BROWSERS[0]})).json()["status"] == 405


@pytest.mark.browser
async def test_the_page_for_a_path_that_is_none_leads_on_and_fits(open_page: OpenPage, server: Server) -> None:
    recorded = await open_page(f"{server.url}/metrics/")
    await expect(recorded.page.get_by_role("link", name="/metrics")).to_be_visible()
    await expect(recorded.page.locator("h1")).to_contain_text("没有这个页面")
    await recorded.assert_fits()
    await recorded.page.get_by_role("link", name="Playground").click()
    await expect(recorded.page).to_have_url(f"{server.url}/playground")
    await recorded.assert_clean("the server responded with a status of 404")
