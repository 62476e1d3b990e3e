"""With API keys: public paths, refusals, and that a refusal does not wait for the body."""

import asyncio
import hashlib
import http.client
import json
import socket
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from service.keys import LOOK_SECONDS
from service.main import create_app
from service.middleware.api_key import MAX_KEEP_ALIVE_BODY_BYTES
from service.serving.closing import LINGER_SECONDS
from service.settings import Settings
from tests.server import log_lines, running_server
from tests.service.problem_documents import check

FIRST, SECOND, IN_FILE = "first-key-4711", "second-key-0815", "key-in-a-file-42"
WRONG = "guessed-key-1234"

REQUEST = {"query": [[1.0]], "key": [[1.0]]}

INFERENCE = {
    "inputs": [{"name": name, "shape": [1, 1], "datatype": "FP64", "data": [1.0]} for name in ("query", "key", "value")]
}

MIB = 1024 * 1024

OPEN = {
    "GET /", "GET /docs", "GET /guide", "GET /livez", "GET /metrics",
    "GET /openapi.json", "GET /playground", "GET /problems",
    "GET /problems/{slug}",
    "GET /readyz", "GET /v1/examples", "GET /v1/examples/{id}", "GET /v1/expressions", "GET /v1/normalizers",
    "GET /v1/score-models",
    "GET /v2/health/live", "GET /v2/health/ready",
}  # fmt: skip
"""Everything that answers without a key; whatever is added to the service is closed until it stands here."""


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """A real server with three keys: one as it is, one by its hash, one in a file."""
    directory = tmp_path_factory.mktemp("keyed")
    file = directory / "keys"
    file.write_text(f"# the third\n{IN_FILE}\n")
    both = f"{FIRST},sha256:{hashlib.sha256(SECOND.encode()).hexdigest()}"
    with running_server(directory, API_KEYS=both, API_KEYS_FILE=str(file)) as server:
        yield server


@pytest.fixture
async def stranger(keyed):
    async with httpx.AsyncClient(base_url=keyed.url, timeout=30) as client:
        yield client


def refused(response, how="received none"):
    """Check a refusal; return its document."""
    inference = httpx.URL(str(response.request.url)).path.startswith("/v2")
    assert response.status_code == 401
    assert response.headers["content-type"] == ("application/json" if inference else "application/problem+json")
    assert response.headers["www-authenticate"].startswith('Bearer realm="attention-service"')
    document = response.json()
    assert document["type"] == "/problems/unauthorized"
    assert document["instance"] == response.headers["x-request-id"]
    assert how in document["detail"]
    assert (document.get("error") == document["detail"]) is inference
    return document


def routes():
    app = create_app(Settings(log_level="error"))
    return {
        f"{method} {route.path}" for route in app.routes if isinstance(route, Route) for method in route.methods
    } - {f"HEAD {route.path}" for route in app.routes if isinstance(route, Route)}


@pytest.mark.parametrize("route", sorted(routes() | OPEN))
async def test_without_a_key_exactly_what_is_meant_to_be_open_answers(stranger, route):
    method, path = route.format(slug="not-found", id="causal", model="additive", version="1", name="none").split()
    response = await stranger.request(method, path)
    if route not in OPEN:
        refused(response)
        # A client with a key sees the route.
        known = await stranger.request(method, path, headers={"X-API-Key": FIRST})
        # There is no memory of that name.
        expected = {200} if method == "GET" else {200, 400, 422}
        assert known.status_code in (expected | {404} if "{name}" in route else expected)
    elif route in routes():
        assert response.status_code in {200, 307}


async def test_static_files_stay_open(stranger):
    assert (await stranger.get("/static/docs.js")).status_code == 200


@pytest.mark.parametrize("path", ["/v1", "/v1/nothing", "/v1/attention/", "/v2/", "/v2/nothing", "/%76%31/attention"])
async def test_a_client_without_a_key_does_not_learn_which_paths_exist(stranger, path):
    refused(await stranger.post(path, json=REQUEST))


@pytest.mark.parametrize(
    "path", ["//v1/attention", "/V1/attention", "/v1%2fattention", "/static/../v1/attention", "/v1/../v1/attention",
             "/v1/attention?x=/v2/health", "/v2/health/../models", "/;/v1/attention", "/v1/attention%00"],
)  # fmt: skip
def test_no_way_of_writing_a_path_gets_past(keyed, path):
    with closing(http.client.HTTPConnection("127.0.0.1", keyed.port, timeout=10)) as connection:
        connection.request("POST", path, json.dumps(REQUEST), {"Content-Type": "application/json"})
        with connection.getresponse() as response:
            assert response.status in {401, 404, 405}
            assert b"weights" not in response.read()


@pytest.mark.parametrize("key", [FIRST, SECOND, IN_FILE])
@pytest.mark.parametrize(
    "header", [{"Authorization": "Bearer {}"}, {"Authorization": "bearer {}"}, {"X-API-Key": "{}"}]
)
async def test_every_key_opens_either_way(stranger, key, header):
    headers = {name: value.format(key) for name, value in header.items()}
    response = await stranger.post("/v1/attention", json=REQUEST, headers=headers)
    assert response.json()["weights"] == [[1.0]]
    response = await stranger.post("/v2/models/dot_product/infer", json=INFERENCE, headers=headers)
    assert response.status_code == 200


async def test_a_proxy_may_have_filled_authorization(stranger):
    headers = {"Authorization": "Basic dTpw", "X-API-Key": FIRST}
    assert (await stranger.post("/v1/attention", json=REQUEST, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "value", [WRONG, FIRST[:-1], FIRST + "x", FIRST.upper(), hashlib.sha256(FIRST.encode()).hexdigest(),
              "sha256:" + hashlib.sha256(SECOND.encode()).hexdigest(), "", "\x00"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/attention", "/v2/models/dot_product/infer"])
async def test_a_key_that_is_almost_right_is_wrong(stranger, path, value):
    if value != "\x00":
        response = await stranger.post(path, json=REQUEST, headers={"X-API-Key": value})
        assert 'error="invalid_token"' in response.headers["www-authenticate"]
        document = refused(response, "received another")
        assert not value or value not in json.dumps(document)
    refused(await stranger.post(path, json=REQUEST, headers={"Authorization": f"Basic {FIRST}"}))


MISWRITTEN = {
    "doubled": ({"Authorization": f"Bearer Bearer {FIRST}"}, "received it twice", "Remove one of the two"),
    "doubled in small letters": ({"Authorization": f"bearer  bearer {FIRST}"}, "received it twice", "Remove one"),
    "alone": ({"Authorization": "Bearer"}, "received Bearer alone", "Add the key"),
    "in the other header": ({"X-API-Key": f"Bearer {FIRST}"}, "received the word Bearer", "Remove the word"),
    "left out": ({"Authorization": FIRST}, "received one word", "Put Bearer and a space before the key"),
    "another": ({"Authorization": f"Token {FIRST}"}, "another word than Bearer", "Send the API key in one of the two"),
}


@pytest.mark.parametrize("path", ["/v1/attention", "/v2/models/dot_product/infer"])
@pytest.mark.parametrize("how", MISWRITTEN)
async def test_a_refusal_says_how_a_key_was_written_wrongly_without_the_key(stranger, how, path):
    headers, received, advice = MISWRITTEN[how]
    document = refused(await stranger.post(path, json=REQUEST, headers=headers), received)
    assert document["detail"].startswith("expected ")
    assert advice in document["detail"]
    assert FIRST not in json.dumps(document)


async def test_the_catalogue_is_open_to_read_and_to_nothing_else(stranger):
    for path in ("/v1/score-models", "/v1/examples", "/v1/examples/causal"):
        assert (await stranger.get(path)).status_code == 200
        refused(await stranger.post(path, json={}))


async def test_a_key_in_the_address_is_none(stranger):
    refused(await stranger.post(f"/v1/attention?api_key={FIRST}&X-API-Key={FIRST}", json=REQUEST))


async def test_head_is_as_closed_as_get(stranger):
    assert (await stranger.head("/v2/models/additive")).status_code == 401
    assert (await stranger.head("/v1/score-models")).status_code == 200


async def test_a_public_prefix_opens_nothing(tmp_path):
    with running_server(tmp_path, "--root-path", "/attention", API_KEYS=FIRST) as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            for prefix in ("", "/attention"):
                response = await client.post(f"{prefix}/v1/attention", json=REQUEST)
                assert response.status_code == 401
                assert response.json()["type"] == "/attention/problems/unauthorized"
                assert (await client.get(f"{prefix}/v1/examples")).status_code == 200
                let_in = await client.post(f"{prefix}/v1/attention", json=REQUEST, headers={"X-API-Key": FIRST})
                assert let_in.status_code == 200


def asked(keyed, *lines, key=WRONG, path="/v1/attention"):
    """Open a connection and send the head of a POST."""
    connection = socket.create_connection(("127.0.0.1", keyed.port), timeout=5)
    head = [
        f"POST {path} HTTP/1.1",
        "Host: here",
        f"X-API-Key: {key}",
        "Content-Type: application/json",
        *lines,
        "",
        "",
    ]
    connection.sendall("\r\n".join(head).encode())
    return connection


def answer_of(connection):
    response = http.client.HTTPResponse(connection, method="POST")
    response.begin()
    return response.status, dict(response.getheaders()), response.read()


@pytest.mark.alone
@pytest.mark.parametrize("length", ["Content-Length: 60000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", ["/v1/attention", "/v2/models/dot_product/infer"])
def test_a_bad_key_is_refused_before_the_body_is_read(keyed, report_figure, length, path):
    """Not a byte of the body is ever sent."""
    started = time.perf_counter()
    with asked(keyed, length, path=path) as connection:
        status, headers, _ = answer_of(connection)
        seconds = time.perf_counter() - started
    report_figure(f"bad key, {length}, {path}: {status} after {seconds * 1000:.1f} ms, no byte of the body sent")
    assert status == 401
    assert headers["connection"] == "close"
    assert seconds < 2


def test_no_client_is_asked_to_continue(keyed):
    """`Expect: 100-continue`, as curl sends it with large bodies."""
    with asked(keyed, "Content-Length: 60000000", "Expect: 100-continue") as connection:
        assert connection.recv(9000).startswith(b"HTTP/1.1 401")


@pytest.mark.soak
async def test_a_client_that_sends_a_large_body_all_the_same_reads_the_refusal(keyed):
    async def chunks():
        for _ in range(20):
            yield bytes(MIB)

    async with httpx.AsyncClient(base_url=keyed.url, timeout=30) as client:
        for content in (bytes(20 * MIB), chunks()):
            response = await client.post("/v1/attention", content=content, headers={"X-API-Key": WRONG})
            refused(response, "received another")
            assert response.headers["connection"] == "close"


@pytest.mark.alone
def test_what_follows_a_refusal_is_passed_over_for_a_while_and_not_kept(keyed, report_figure):
    before = resident_bytes(keyed)
    started, sent = time.perf_counter(), 0
    with asked(keyed, "Content-Length: 100000000000") as connection:
        try:
            while time.perf_counter() < started + 10:
                sent += connection.send(bytes(MIB))
        except ConnectionError:
            pass
        seconds = time.perf_counter() - started
    grown = resident_bytes(keyed) - before
    report_figure(
        f"{sent / MIB:.0f} MiB sent after a refusal: closed after {seconds:.2f} s, {grown / MIB:.1f} MiB grown"
    )
    assert seconds < LINGER_SECONDS + 1
    assert grown < 8 * MIB


def resident_bytes(server):
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096


def test_after_a_small_body_the_connection_goes_on_and_nothing_is_crossed(keyed):
    """The refused body comes late, in two parts, the first of which looks like a request of its own."""
    smuggled = b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n"
    with asked(keyed, f"Content-Length: {MAX_KEEP_ALIVE_BODY_BYTES}") as connection:
        status, headers, _ = answer_of(connection)
        assert status == 401
        assert "connection" not in headers
        connection.sendall(smuggled)
        connection.sendall(bytes(MAX_KEEP_ALIVE_BODY_BYTES - len(smuggled)))
        body = json.dumps(REQUEST).encode()
        head = f"POST /v1/attention HTTP/1.1\r\nHost: here\r\nX-API-Key: {FIRST}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        status, _, content = answer_of(connection)
    assert (status, json.loads(content)["weights"]) == (200, [[1.0]])


@pytest.mark.soak
async def test_keys_are_exchanged_while_it_runs(tmp_path):
    file = tmp_path / "keys"
    file.write_text(FIRST)
    with running_server(tmp_path, API_KEYS_FILE=str(file)) as server:
        async with httpx.AsyncClient(base_url=server.url) as client:

            async def statuses():
                return [
                    (await client.post("/v1/attention", json=REQUEST, headers={"X-API-Key": key})).status_code
                    for key in (FIRST, SECOND)
                ]

            assert await statuses() == [200, 401]
            for content, expected in ((f"{FIRST}\n{SECOND}", [200, 200]), (SECOND, [401, 200])):
                file.write_text(content)
                await asyncio.sleep(LOOK_SECONDS)
                assert await statuses() == expected


def test_no_key_is_ever_logged(keyed):
    """Neither a right one nor a wrong one, by any test before; each request and each refusal is."""
    keys = (FIRST, SECOND, IN_FILE, WRONG)
    for key in keys:
        headers = {"X-API-Key": key, "X-Request-ID": "with-a-key"}
        httpx.post(f"{keyed.url}/v1/attention", json=REQUEST, headers=headers)
    lines = log_lines(keyed, '"with-a-key"', len(keys))
    assert [line["status"] for line in lines] == [200, 200, 200, 401]
    assert not [key for key in keys if key in keyed.log.read_text()]


@pytest.mark.parametrize("asks", [False, True])
async def test_the_specification_says_whether_a_key_is_needed(asks):
    app = create_app(Settings(log_level="error", **({"api_keys": [FIRST]} if asks else {})))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://app") as client:
        document = (await client.get("/openapi.json")).json()
    # Swagger UI shows a padlock for each scheme and each requirement, also for an empty one.
    assert document["components"].get("securitySchemes", {}).keys() == ({"bearer"} if asks else set())
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    for name, operation in operations.items():
        if name in OPEN:
            assert "security" not in operation
            assert "401" not in operation["responses"]
        else:
            assert operation.get("security") == ([{"bearer": []}] if asks else None), name
            assert "WWW-Authenticate" in operation["responses"]["401"]["headers"]


async def test_without_keys_nothing_is_asked(client):
    response = await client.post("/v1/attention", json=REQUEST, headers={"X-API-Key": WRONG})
    assert response.status_code == 200


async def test_the_page_of_the_problem_is_open(stranger):
    document = refused(await stranger.post("/v1/attention", json=REQUEST))
    assert "Authorization: Bearer" in (await stranger.get(document["type"])).text
    check(await stranger.get("/nothing"), 404, "not-found")
