"""Behind a proxy that strips a prefix, everything still works and nothing is asked for outside the prefix."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.async_api import expect

from service.problems import PROBLEMS
from tests.browser.conftest import OpenPage, RecordedPage
from tests.browser.playground import Playground
from tests.browser.proxy import Proxy, stripping_proxy
from tests.browser.swagger import Attention
from tests.server import running_server

PREFIX = "/attention"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    directory = tmp_path_factory.mktemp("published")
    with (
        running_server(directory, "--root-path", PREFIX) as server,
        stripping_proxy(server.url, PREFIX) as proxy,
    ):
        yield proxy


def assert_inside(recorded: RecordedPage, proxy: Proxy) -> None:
    assert recorded.requests
    assert [url for url in recorded.requests if not url.startswith(f"{proxy.url}/")] == []
    assert proxy.outside == []


@pytest.mark.soak
@pytest.mark.browser
async def test_a_problem_page_leads_to_the_documentation_and_its_examples_run(
    open_page: OpenPage, published: Proxy
) -> None:
    recorded = await open_page(f"{published.url}/problems/shape-mismatch")
    await recorded.page.get_by_role("link").click()
    attention = Attention(recorded.page)
    await attention.open()
    assert await attention.execute() == 200
    assert "0.70166907360510" in await attention.answer.inner_text()
    assert f"{published.url}/v1/attention" in recorded.requests
    assert_inside(recorded, published)
    await recorded.assert_clean()


async def test_the_front_page_leads_to_the_playground(published: Proxy) -> None:
    async with httpx.AsyncClient() as client:
        received = await client.get(f"{published.url}/", headers={"Accept": "text/html"})
    assert received.status_code == 307
    assert received.headers["Location"] == f"{PREFIX}/playground"


@pytest.mark.browser
async def test_the_playground_computes_explains_and_shares(open_page: OpenPage, published: Proxy) -> None:
    recorded = await open_page(f"{published.url}/playground", locale="en-GB")
    playground = Playground(recorded.page)
    await playground.fresh()
    await playground.explained("70.17 %")
    assert (await playground.texts("weights"))[0][0] == "0.7017"
    await playground.choose("#example", "causal")
    await recorded.page.locator("#share").click()
    await expect(recorded.page).to_have_url(re.compile(rf"^{re.escape(published.url)}/playground#2\."))
    assert_inside(recorded, published)
    await recorded.assert_clean()


@pytest.mark.parametrize("path", ["/static/nothing.js", "/static/docs.html", "/problems/nothing", "/nothing"])
async def test_the_type_of_a_problem_carries_the_prefix(published: Proxy, path: str) -> None:
    async with httpx.AsyncClient() as client:
        received = await client.get(published.url + path)
        assert received.status_code == 404
        assert received.json()["type"] == f"{PREFIX}/problems/not-found"
        explained = await client.get(httpx.URL(published.url).join(received.json()["type"]))
    assert explained.status_code == 200
    assert PROBLEMS["not-found"].title.zh in explained.text


async def test_the_prefix_may_also_arrive_unstripped(published: Proxy) -> None:
    async with httpx.AsyncClient() as client:
        received = await client.get(f"{published.url}{PREFIX}/static/docs.css")
    assert received.status_code == 200
    assert received.headers["Content-Type"] == "text/css; charset=utf-8"


@pytest.mark.browser
async def test_a_path_that_is_none_is_a_page_whose_files_and_links_stay_inside(
    open_page: OpenPage, published: Proxy
) -> None:
    recorded = await open_page(f"{published.url}/deep/er/nothing")
    await expect(recorded.page.locator(".problems")).to_have_css("list-style-type", "none")  # it has its style sheet
    await recorded.page.get_by_role("link", name="Every kind of problem").click()
    await expect(recorded.page).to_have_url(f"{published.url}/problems")
    assert_inside(recorded, published)
