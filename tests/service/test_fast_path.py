"""The fast path to a raw route gives the answers of the normal way, on real sockets.

Requests below a public prefix never take the fast path, so that a server with one is the measure.
"""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.main import create_app
from service.middleware.header_fields import STATE
from service.routes.fast_path import FastPathMiddleware
from service.routes.raw_route import RawRoute
from service.settings import Settings
from tests.sampling import sample
from tests.server import Server, log_lines, running_server

PREFIX = "/long/way"

REQUEST = {"query": [[1, 0]], "key": [[1, 0], [0, 1]], "value": [[1], [2]]}

ASKED: dict[str, dict[str, Any]] = {
    "right": {"json": REQUEST},
    "as a picture": {"json": REQUEST, "headers": {"Accept": "image/svg+xml"}},
    "compressed": {"content": gzip.compress(json.dumps(REQUEST).encode()), "headers": {"Content-Encoding": "gzip"}},
    "no JSON": {"content": b'{"query": NaN}'},
    "no body": {},
    "not an object": {"json": [1]},
    "misspelt": {"json": REQUEST | {"vlaue": 1}},
    "wrong shape": {"json": REQUEST | {"value": [[1]]}},
    "wrong type": {"content": b"<x/>", "headers": {"Content-Type": "text/xml"}},
    "wrong encoding": {"json": REQUEST, "headers": {"Content-Encoding": "lzma"}},
    "not acceptable": {"json": REQUEST, "headers": {"Accept": "text/html"}},
    "wrong deadline": {"json": REQUEST, "headers": {"Request-Timeout": "soon"}},
    "wrong method": {"method": "GET"},
    "another wrong method": {"method": "PUT", "json": REQUEST},
    "head": {"method": "HEAD"},
}


@pytest.fixture(scope="module")
def behind_prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind a public prefix."""
    with running_server(tmp_path_factory.mktemp("prefix"), "--root-path", PREFIX) as server:
        yield server


@pytest.fixture(scope="module")
def connected() -> Iterator[httpx.Client]:
    """One client for all questions."""
    with httpx.Client(timeout=30) as client:
        yield client


PARAMETER_VALUES = {"model": ("cosine", "dot_product"), "version": ("1",)}


def raw_routes() -> list[RawRoute]:
    """Those whose parameters the fast path knows; paths with the name of a memory take the normal way alone."""
    routes = create_app(Settings(log_level="warning")).router.routes
    raw = [route for route in routes if isinstance(route, RawRoute)]
    return [route for route in raw if route.param_convertors.keys() <= PARAMETER_VALUES.keys()]


def test_there_are_raw_routes() -> None:
    assert {"/v1/attention", "/v2/models/{model}/infer"} <= {route.path for route in raw_routes()}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("path", [route.path.format(model="cosine", version="1") for route in raw_routes()])
def test_fast_path_and_normal_way_answer_alike(
    server: Server, behind_prefix: Server, connected: httpx.Client, path: str, asked: dict[str, Any]
) -> None:
    question = {"method": "POST", **asked}
    headers = {"X-Request-ID": "same", **question.pop("headers", {})}
    short = connected.request(url=server.url + path, headers=headers, **question)
    long = connected.request(url=behind_prefix.url + PREFIX + path, headers=headers, **question)
    without_prefix = long.content.replace(f"{PREFIX}/problems/".encode(), b"/problems/")
    # The problem's own page carries the prefix, and so does what names the path.
    without_prefix = without_prefix.replace(f"{PREFIX}/v".encode(), b"/v")
    assert (short.status_code, short.content) == (long.status_code, without_prefix)
    # The body is compared; how long it is follows.
    assert _headers(short) == _headers(long)


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in ("date", "content-length")}


async def test_only_raw_routes_take_the_fast_path() -> None:
    """Every other request reaches the application."""
    passed: list[tuple[str, str]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        passed.append((scope["method"], scope["path"]))

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        raise AssertionError(message)

    fast_path = FastPathMiddleware(
        application, create_app(Settings(log_level="warning")).router.routes, PARAMETER_VALUES
    )
    others = [
        ("GET", "/v1/attention"),
        ("POST", "/v1/attention/"),
        ("GET", "/livez"),
        ("POST", "/v1/nothing"),
        ("POST", "/v2/models/unusual/infer"),
        ("GET", "/v2/models/cosine/infer"),
        ("POST", "/v2/models/cosine"),
    ]
    for method, path in others:
        await fast_path({"type": "http", "method": method, "path": path, "root_path": ""}, receive, send)
    assert passed == others
    await fast_path({"type": "http", "method": "POST", "path": "/x/v1/attention", "root_path": "/x"}, receive, send)
    assert passed[-1] == ("POST", "/x/v1/attention")


async def test_a_raw_route_does_not_pass_through_the_application() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("the normal way")

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(REQUEST).encode(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    app = create_app(Settings(log_level="warning"))
    scope = {"type": "http", "method": "POST", "path": "/v1/attention", "root_path": "", "headers": [], "app": app}
    scope["state"] = {STATE: {}}
    await FastPathMiddleware(application, app.router.routes, PARAMETER_VALUES)(scope, receive, send)
    assert sent[0]["status"] == 200


@pytest.mark.parametrize("prefix", sample(["", PREFIX], ""))
def test_a_client_that_goes_away_is_no_defect(tmp_path: Path, prefix: str) -> None:
    """Half a body and then nothing: one line in the log, which is no error, on both ways."""
    arguments = ("--root-path", prefix) if prefix else ()
    with running_server(tmp_path, *arguments) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            head = (
                f"POST {prefix}/v1/attention HTTP/1.1\r\nHost: x\r\nX-Request-ID: gone\r\nContent-Length: 100\r\n\r\n"
            )
            connection.sendall(head.encode() + b'{"query"')
            time.sleep(0.2)
        lines = log_lines(server, "gone")
    assert [line["level"] for line in lines] == ["info"]
