"""CORS: off by default; where it is on, every answer and every error says whose pages may read it."""

import httpx
import pytest

from service.main import create_app
from service.settings import Settings
from tests.server import running_server
from tests.service.problem_documents import check

PAGE, OTHER = "https://lectures.example.org", "https://elsewhere.example.com"
KEY = "first-key-4711"
REQUEST = {"query": [[1.0]], "key": [[1.0]]}

ANSWERS = {
    "success": ("POST", "/v1/attention", {"json": REQUEST}, 200),
    "wrong request": ("POST", "/v1/attention", {"json": {}}, 422),
    "broken body": ("POST", "/v2/models/additive/infer", {"content": b"{"}, 400),
    "no path": ("GET", "/nothing", {}, 404),
    "no method": ("DELETE", "/v1/attention", {}, 405),
    "probe": ("GET", "/readyz", {}, 200),
    "file": ("GET", "/static/docs.js", {}, 200),
    "redirect": ("GET", "/", {"headers": {"Accept": "text/html"}}, 307),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A real server with keys whose answers pages of two origins may read."""
    origins = f"{PAGE},http://localhost:3000"
    with running_server(tmp_path_factory.mktemp("shared"), CORS_ORIGINS=origins, API_KEYS=KEY) as server:
        yield server


@pytest.fixture
async def browser(shared):
    async with httpx.AsyncClient(base_url=shared.url) as client:
        yield client


def cors(response):
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


def preflight(origin, method="POST", headers="authorization,content-type,inference-header-content-length"):
    return {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}


@pytest.mark.parametrize("name", ANSWERS)
async def test_by_default_no_answer_says_anything(client, name):
    method, path, options, status = ANSWERS[name]
    headers = {"Origin": PAGE, **options.get("headers", {})}
    response = await client.request(method, path, **{**options, "headers": headers})
    assert response.status_code == status
    assert cors(response) == {}
    assert "origin" not in response.headers.get("vary", "").lower()


async def test_by_default_a_preflight_is_not_answered(client):
    response = await client.options("/v1/attention", headers=preflight(PAGE))
    check(response, 405, "method-not-allowed")
    assert cors(response) == {}


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_every_answer_may_be_read_by_the_pages_that_are_named(browser, name, origin):
    method, path, options, status = ANSWERS[name]
    headers = {"Origin": origin, "X-API-Key": KEY, **options.get("headers", {})}
    response = await browser.request(method, path, **{**options, "headers": headers})
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-credentials" not in response.headers
    exposed = response.headers["access-control-expose-headers"].split(", ")
    assert {"X-Request-ID", "Inference-Header-Content-Length", "Retry-After"} <= set(exposed)
    assert "Origin" in ", ".join(response.headers.get_list("vary"))


@pytest.mark.parametrize(
    "origin",
    [OTHER, "null", f"{PAGE}.evil.com", f"{PAGE}:8443", PAGE.replace("https", "http"), f"{PAGE}/", PAGE.upper()],
)  # fmt: skip
async def test_no_answer_may_be_read_by_others(browser, origin):
    response = await browser.post("/v1/attention", json=REQUEST, headers={"Origin": origin, "X-API-Key": KEY})
    assert response.status_code == 200
    assert cors(response) == {}
    # A cache must not give this answer to a page that may read it, nor the other way round.
    assert "Origin" in ", ".join(response.headers.get_list("vary"))


async def test_a_page_can_read_the_refusal_of_a_key(browser):
    response = await browser.post("/v1/attention", json=REQUEST, headers={"Origin": PAGE})
    check(response, 401, "unauthorized")
    assert response.headers["access-control-allow-origin"] == PAGE


async def test_a_preflight_is_answered_without_a_key(browser):
    response = await browser.options("/v1/attention", headers=preflight(PAGE))
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-origin"] == PAGE
    assert "POST" in response.headers["access-control-allow-methods"].split(", ")
    allowed = {name.lower() for name in response.headers["access-control-allow-headers"].split(", ")}
    assert {"authorization", "x-api-key", "content-type", "content-encoding", "request-timeout", "x-request-id",
            "traceparent", "inference-header-content-length"} <= allowed  # fmt: skip
    assert int(response.headers["access-control-max-age"]) > 0
    assert "x-request-id" in response.headers


async def test_a_preflight_of_another_page_is_forbidden(browser):
    response = await browser.options("/v1/attention", headers=preflight(OTHER))
    document = check(response, 403, "forbidden")
    assert OTHER in document["detail"]
    assert cors(response) == {}
    on_v2 = await browser.options("/v2/models/additive/infer", headers=preflight(OTHER))
    assert on_v2.json()["error"] == on_v2.json()["detail"]


async def test_options_without_a_question_are_no_preflight(browser):
    response = await browser.options("/v1/attention", headers={"Origin": PAGE, "X-API-Key": KEY})
    check(response, 405, "method-not-allowed")


async def test_a_preflight_takes_no_place_in_the_queue(monkeypatch):
    app = create_app(Settings(cors_origins=[PAGE], log_level="error"))
    monkeypatch.setattr(app.state.service, "admission", None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://app") as client:
        assert (await client.options("/v1/attention", headers=preflight(PAGE))).status_code == 204


async def test_every_origin_may_be_let_in():
    app = create_app(Settings(cors_origins=["*"], log_level="error"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://app") as client:
        for origin in (PAGE, OTHER, "null"):
            response = await client.post("/v1/attention", json=REQUEST, headers={"Origin": origin})
            assert response.headers["access-control-allow-origin"] == "*"
            assert "origin" not in response.headers.get("vary", "").lower()
            assert (await client.options("/v1/attention", headers=preflight(origin))).status_code == 204


async def test_a_page_can_read_the_answer_to_a_defect(monkeypatch):
    app = create_app(Settings(cors_origins=[PAGE], log_level="error"))
    monkeypatch.setattr(app.state.service, "admission", None)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        response = await client.post("/v1/attention", json=REQUEST, headers={"Origin": PAGE})
    check(response, 500, "internal")
    assert response.headers["access-control-allow-origin"] == PAGE
