"""Methods, slashes and prefixes: Allow is true on every route, and a page is found with a slash too many or too few."""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.routing import Mount, Route

from service.main import create_app
from service.problems import PROBLEMS
from service.routes.pages import PAGE_PATHS
from service.settings import Settings
from tests.server import Server, running_server
from tests.service.problem_documents import check

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

NAMES = {"model": "additive", "version": "1", "id": "causal", "slug": "internal", "name": "some"}

PREFIX = "/attention"


def templates() -> list[str]:
    """Return the path of every route, and that of a file."""
    routes = create_app(Settings(log_level="error")).router.routes
    assert any(isinstance(route, Mount) for route in routes)
    return sorted({route.path for route in routes if isinstance(route, Route)} | {"/static/docs.js"})


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server that is published below a prefix; a proxy may strip it from the path or not."""
    with running_server(tmp_path_factory.mktemp("published"), "--root-path", PREFIX) as server:
        yield server


@pytest.fixture
async def visitor(published: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=published.url, timeout=30) as client:
        yield client


@pytest.mark.parametrize("template", templates())
async def test_allow_names_exactly_the_methods_that_a_path_has(client: httpx.AsyncClient, template: str) -> None:
    path = template.format(**NAMES)
    answers = {method: await client.request(method, path) for method in METHODS}
    served = {method for method, answer in answers.items() if answer.status_code != 405}
    assert served in ({"GET", "HEAD"}, {"POST"}, {"DELETE", "GET", "HEAD", "PUT"})
    for method in set(METHODS) - served:
        assert answers[method].headers["allow"] == ", ".join(sorted(served)), method
        if method == "HEAD":
            assert answers[method].content == b""
        elif path.startswith("/v2"):
            assert "expected" in answers[method].json()["error"]
        else:
            assert ", ".join(sorted(served)) in check(answers[method], 405, "method-not-allowed")["detail"]


PAGES = sorted(PAGE_PATHS - {"/"})


def locations(template: str) -> tuple[str, str]:
    path = template.format(**NAMES)
    return path, f"{path}/"


@pytest.mark.parametrize("template", PAGES)
async def test_a_page_with_a_slash_too_many_leads_to_the_page(client: httpx.AsyncClient, template: str) -> None:
    path, slashed = locations(template)
    for method in ("GET", "HEAD"):
        answer = await client.request(method, slashed, params={"lang": "zh", "q": "a b/é"})
        assert answer.status_code == 307
        assert answer.headers["location"] == f"{path}?lang=zh&q=a+b%2F%C3%A9"
    page = await client.get(slashed, follow_redirects=True)
    assert (page.status_code, page.url.path) == (200, path)
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("stripped", [True, False], ids=["stripped", "not stripped"])
@pytest.mark.parametrize("template", PAGES)
async def test_redirects_stay_inside_the_public_prefix(
    visitor: httpx.AsyncClient, template: str, stripped: bool
) -> None:
    path, slashed = locations(template)
    answer = await visitor.get(f"{'' if stripped else PREFIX}{slashed}?a=1")
    assert (answer.status_code, answer.headers["location"]) == (307, f"{PREFIX}{path}?a=1")
    assert (await visitor.get(answer.headers["location"])).status_code == 200


@pytest.mark.parametrize(("accept", "kind"), [("text/html", "text/html; charset=utf-8"), ("*/*", "application/json")])
async def test_the_bare_prefix_leads_to_the_front_page(visitor: httpx.AsyncClient, accept: str, kind: str) -> None:
    answer = await visitor.get(f"{PREFIX}?a=1", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["location"]) == (307, f"{PREFIX}/?a=1")
    page = await visitor.get(PREFIX, headers={"Accept": accept}, follow_redirects=True)
    assert (page.status_code, page.headers["content-type"]) == (200, kind)
    assert page.url.path.startswith(f"{PREFIX}/")
    check_below(await visitor.get(f"{PREFIX}x"))
    check_below(await visitor.post(PREFIX))


def check_below(answer: httpx.Response) -> None:
    assert answer.status_code == 404
    assert answer.json()["type"] == f"{PREFIX}/problems/not-found"
    assert f"See {PREFIX}/docs for all of them." in answer.json()["detail"]


APIS = sorted(set(templates()) - PAGE_PATHS - {"/guide", "/v2", "/v2/", "/static/docs.js"})


@pytest.mark.parametrize("template", APIS)
async def test_a_call_with_a_slash_too_many_is_a_404_that_names_the_call(
    client: httpx.AsyncClient, template: str
) -> None:
    path, slashed = locations(template)
    for method in ("GET", "POST"):
        answer = await client.request(method, slashed)
        assert answer.status_code == 404
        assert f"received {slashed}. Did you mean {path}? See /docs" in answer.json()["detail"]


async def test_a_call_below_the_prefix_is_named_with_it(visitor: httpx.AsyncClient) -> None:
    for sent in ("/v1/score-models/", f"{PREFIX}/v1/score-models/"):
        answer = await visitor.get(sent)
        assert answer.status_code == 404
        assert f"Did you mean {PREFIX}/v1/score-models?" in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["//", "///docs/", "//elsewhere.example/docs/", "/%2F/elsewhere.example", "/docs/%0d%0aSet-Cookie:a=b/",
             "/problems/%2F%2Felsewhere.example/", "/\\elsewhere.example/"],
)  # fmt: skip
@pytest.mark.parametrize("prefix", ["", PREFIX])
async def test_no_redirect_leads_to_another_server(published: Server, prefix: str, path: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(httpx.URL(published.url, raw_path=(prefix + path).encode()))
    if answer.status_code == 307:
        location = urlsplit(answer.headers["location"])
        assert (location.scheme, location.netloc) == ("", "")
        assert answer.headers["location"].startswith(f"{PREFIX}/")
    else:
        assert answer.status_code == 404
    assert "set-cookie" not in answer.headers


async def test_all_problems_are_on_one_page(client: httpx.AsyncClient) -> None:
    page = await client.get("/problems")
    assert page.status_code == 200
    for slug, problem in PROBLEMS.items():
        assert f'<a href="problems/{slug}">{problem.title.en}' in page.text
        assert problem.title.zh in page.text
        assert f"{int(problem.status)} <code>{slug}</code>" in page.text
