"""Every error of every layer is a problem document with a request id; nothing tells of the insides."""

import json
from typing import get_args

import httpx
import pytest

from service.errors import InvalidRequest, Kind, ServiceError, Violation
from service.main import create_app
from service.problems import PROBLEMS
from service.routes import operations
from service.settings import Settings
from tests.service.problem_documents import MALFORMED, check
from tests.service.wrong_questions import QUESTIONS
from tests.service.wrong_requests import BASE


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_not_strict_json_is_a_400(client, name, question):
    check(await client.post(QUESTIONS[question].path, content=MALFORMED[name]), 400, "malformed-body")


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("body", [b"[1]", b"[]", b"3", b'"query"', b"null", b"true", b"[[1,2],[3]]"])
async def test_a_document_that_is_not_an_object_is_a_422(client, body, question):
    document = check(await client.post(QUESTIONS[question].path, content=body), 422, "invalid-request")
    assert document["errors"][0]["pointer"] == ""


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=list(QUESTIONS))
async def test_every_level_of_nesting_counts(client, question):
    """Those of the larger request that holds an attention request included."""
    for levels in (62, 64):
        body = json.dumps(question.asked({"query": "deep", "key": [[1]]})).replace(
            '"deep"', "[" * levels + "]" * levels
        )
        response = await client.post(question.path, content=body)
        status = 422 if levels + body.count("{", 0, body.index('"query"')) <= 64 else 400
        assert response.status_code == status, (levels, response.text)


@pytest.mark.parametrize(
    "body", [b'{"query": [[1e400]], "key": [[1]]}', b'{"query": [[' + b"9" * 5000 + b']], "key": [[1]]}']
)
async def test_a_number_beyond_float64_is_a_422_at_its_place(client, body):
    document = check(await client.post("/v1/attention", content=body), 422, "invalid-request")
    assert document["errors"][0]["pointer"] == "/query/0/0"


async def test_a_number_beyond_float32_is_a_422_at_its_place(client):
    request = {"query": [[1]], "key": [[0], [1e39]], "dtype": "float32"}
    document = check(await client.post("/v1/attention", json=request), 422, "invalid-request")
    assert document["errors"][0]["pointer"] == "/key/1/0"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nothing"), ("POST", "/v1/attention/"), ("GET", "/v1"), ("PUT", "/%00"), ("GET", "/v1/examples/nothing"),
     ("GET", "/problems/nothing"), ("GET", "/static/nothing"), ("GET", "/static/../settings.py")],
)  # fmt: skip
async def test_unknown_paths_are_a_404(client, method, path):
    check(await client.request(method, path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/v1/attention", "POST"), ("PUT", "/v1/attention", "POST"), ("GET", "/v1/attention/explain", "POST"),
     ("PUT", "/v1/attention/compare", "POST"), ("DELETE", "/v1/attention/check", "POST"), ("DELETE", "/livez", "GET"),
     ("POST", "/v1/score-models", "GET"), ("POST", "/docs", "GET"), ("PATCH", "/", "GET")],
)  # fmt: skip
async def test_other_methods_are_a_405_that_names_the_right_ones(client, method, path, allowed):
    response = await client.request(method, path)
    check(response, 405, "method-not-allowed")
    assert allowed in response.headers["allow"]


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=0", "image/png, audio/*", "application/json;q=high"]
)
async def test_nothing_acceptable_is_a_406(client, accept):
    for question in QUESTIONS.values():
        response = await client.post(question.path, json=question.asked(BASE), headers={"Accept": accept})
        assert "application/json" in check(response, 406, "not-acceptable")["detail"]


async def test_only_attention_draws(client):
    for name, question in QUESTIONS.items():
        response = await client.post(question.path, json=question.asked(BASE), headers={"Accept": "image/svg+xml"})
        assert response.status_code == (200 if name == "attention" else 406)


@pytest.mark.parametrize("header", [{"Content-Type": "text/plain"}, {"Content-Encoding": "snappy"}])
async def test_other_media_types_and_encodings_are_a_415(client, header):
    for question in QUESTIONS.values():
        response = await client.post(question.path, content=json.dumps(question.asked(BASE)), headers=header)
        check(response, 415, "unsupported-media-type")


async def test_not_ready_is_a_503(app_client):
    app_client._transport.app.state.service.ready = False
    response = await app_client.get("/readyz")
    check(response, 503, "draining")
    assert int(response.headers["retry-after"]) >= 1
    assert (await app_client.get("/livez")).status_code == 200


async def test_a_defect_is_a_500_that_tells_nothing(monkeypatch):
    def broken(request):
        raise RuntimeError("secret of the insides")

    monkeypatch.setattr(operations, "state_of", broken)
    transport = httpx.ASGITransport(app=create_app(Settings()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        response = await client.get("/readyz")
    check(response, 500, "internal")
    assert "secret" not in response.text


@pytest.mark.parametrize("sent", ["a", "trace-1.2_3", "x" * 128])
async def test_a_well_formed_request_id_is_kept(client, sent):
    assert (await client.get("/livez", headers={"X-Request-ID": sent})).headers["x-request-id"] == sent
    refused = await client.get("/nothing", headers={"X-Request-ID": sent})
    assert refused.json()["instance"] == sent


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "a\tb", "<script>", "é".encode()])
async def test_any_other_request_id_is_replaced(client, sent):
    one, other = [(await client.get("/livez", headers={"X-Request-ID": sent})).headers["x-request-id"] for _ in "ab"]
    assert sent not in (one, other)
    assert one != other


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/openapi.json", "/docs", "/v1/examples"])
async def test_head_answers_like_get_without_the_body(client, path):
    head, get = await client.head(path), await client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


def errors_below(base: type[ServiceError]) -> list[type[ServiceError]]:
    """Return every error of the service that a request may end with."""
    return [one for each in base.__subclasses__() for one in (each, *errors_below(each))]


def test_every_error_names_its_problem():
    slugs = {error.__name__: getattr(error, "slug", None) for error in errors_below(ServiceError)}
    assert slugs.pop("InvalidRequest") is None, "its violations have one each"
    assert len(slugs) > 10
    assert set(slugs.values()) <= set(PROBLEMS)
    for kind in get_args(Kind):
        assert InvalidRequest([Violation("", "", kind)]).slug == kind
        assert PROBLEMS[kind].status == 422
