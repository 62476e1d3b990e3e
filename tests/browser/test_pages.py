"""The other pages: the front page, and one page for each kind of problem."""

from html import escape

import httpx
import pytest

from service.problems import PROBLEMS
from service.routes.page_headers import content_security_policy, page_headers
from tests.browser.conftest import OpenPage
from tests.server import Server

CONTENT_SECURITY_POLICY, PAGE_HEADERS = content_security_policy(), page_headers()

ALLOWED_SOURCES = {"'none'", "'self'"}


def test_the_policy_names_nothing_but_this_server() -> None:
    policy = {name: set(sources) for name, *sources in (rule.split() for rule in CONTENT_SECURITY_POLICY.split("; "))}
    assert policy["default-src"] == {"'none'"}
    assert policy["script-src"] == {"'self'"}
    # Swagger UI's style sheet draws its arrows with data: images.
    assert policy.pop("img-src") == {"'self'", "data:"}
    assert all(sources <= ALLOWED_SOURCES for sources in policy.values())


@pytest.mark.parametrize(
    "path", ["/playground", "/docs", "/problems", "/problems/internal", "/static/docs.js", "/static/favicon.svg"]
)
async def test_every_page_and_file_is_served_with_all_headers_of_a_page(client: httpx.AsyncClient, path: str) -> None:
    received = await client.get(path)
    assert received.status_code == 200
    assert {name: received.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS
    assert {"frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} <= set(
        CONTENT_SECURITY_POLICY.split("; ")
    )


async def test_whatever_is_html_is_a_page_with_all_headers(client: httpx.AsyncClient) -> None:
    """No route answers with HTML otherwise, whatever a browser asks for."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    reading = [path for path, methods in paths.items() if "get" in methods]
    for path in [*reading, "/openapi.json", "/nothing", "/docs", "/playground"]:
        named = path.format(id="causal", model="additive", version="1", slug="internal", name="none")
        received = await client.get(named, headers={"Accept": "text/html"})
        if received.headers.get("Content-Type", "").startswith("text/html"):
            assert {name: received.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS, path


@pytest.mark.parametrize("slug", PROBLEMS)
async def test_there_is_a_page_for_every_problem(client: httpx.AsyncClient, slug: str) -> None:
    received = await client.get(f"/problems/{slug}")
    assert received.status_code == 200
    assert received.headers["Content-Type"] == "text/html; charset=utf-8"
    assert received.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert received.headers["X-Content-Type-Options"] == "nosniff"
    for text in (PROBLEMS[slug].title, PROBLEMS[slug].advice):
        assert all(escape(each) in received.text for each in text.as_dict().values())


@pytest.mark.soak
@pytest.mark.browser
async def test_every_problem_page_reads_in_both_languages_and_fits(open_page: OpenPage, server: Server) -> None:
    recorded = await open_page(f"{server.url}/problems/internal")
    for slug, problem in PROBLEMS.items():
        await recorded.page.goto(f"{server.url}/problems/{slug}")
        shown = await recorded.page.locator("main").inner_text()
        for text in (slug, str(int(problem.status)), problem.title.en, problem.advice.en):
            assert text in shown
        in_chinese = await recorded.page.locator("main :lang(zh)").all_inner_texts()
        assert in_chinese[:2] == [problem.title.zh, problem.advice.zh]
        await recorded.assert_fits()
    await recorded.assert_clean()


@pytest.mark.browser
async def test_the_list_of_problems_leads_to_each_and_fits(open_page: OpenPage, server: Server) -> None:
    recorded = await open_page(f"{server.url}/problems/")
    assert recorded.page.url == f"{server.url}/problems"
    links = recorded.page.locator("li a")
    addresses = await links.evaluate_all("links => links.map((link) => link.href)")
    assert addresses == [f"{server.url}/problems/{slug}" for slug in PROBLEMS]
    assert await recorded.page.locator("li :lang(zh)").all_inner_texts() == [one.title.zh for one in PROBLEMS.values()]
    await recorded.assert_fits()
    await links.first.click()
    await recorded.page.wait_for_url(addresses[0])
    await recorded.assert_clean()


async def test_an_unknown_problem_is_a_404_that_names_the_known_ones(client: httpx.AsyncClient) -> None:
    received = await client.get("/problems/nothing")
    assert received.status_code == 404
    assert received.headers["Content-Type"] == "application/problem+json"
    assert all(slug in received.json()["detail"] for slug in PROBLEMS)


REFUSED: dict[str, tuple[str, str, dict[str, object]]] = {
    "malformed-body": ("POST", "/v1/attention", {"content": b"{"}),
    "not-found": ("GET", "/nothing", {}),
    "method-not-allowed": ("DELETE", "/v1/attention", {}),
    "not-acceptable": ("POST", "/v1/attention", {"json": {}, "headers": {"Accept": "text/html"}}),
    "unsupported-media-type": ("POST", "/v1/attention", {"content": b"a", "headers": {"Content-Type": "text/csv"}}),
    "invalid-request": ("POST", "/v1/attention", {"json": {}}),
    "shape-mismatch": ("POST", "/v1/attention", {"json": {"query": [[1]], "key": [[1, 2]]}}),
    "unknown-name": ("POST", "/v1/attention", {"json": {"query": [[1]], "key": [[1]], "valeu": [[1]]}}),
}


@pytest.mark.parametrize("slug", REFUSED)
async def test_the_type_of_an_error_is_the_address_of_its_page(client: httpx.AsyncClient, slug: str) -> None:
    method, path, options = REFUSED[slug]
    error = (await client.request(method, path, **options)).json()
    page = await client.get(error["type"])
    assert page.status_code == 200
    assert slug in page.text
    assert error["title"] in page.text
