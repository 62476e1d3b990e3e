"""The short way to a direct route gives the answers of the long one, on real sockets.

Below a public prefix no way is short, so that a server with one is the measure.
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
from service.routes.direct import Direct, Shortcut
from service.settings import Settings
from tests.server import Server, running_server

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
def long_way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind a public prefix."""
    with running_server(tmp_path_factory.mktemp("long"), "--root-path", PREFIX) as server:
        yield server


@pytest.fixture(scope="module")
def connected() -> Iterator[httpx.Client]:
    """One client for all questions."""
    with httpx.Client(timeout=30) as client:
        yield client


USUAL = {"model": ("cosine", "dot_product"), "version": ("1",)}


def direct_routes() -> list[Direct]:
    return [route for route in create_app(Settings(log_level="warning")).router.routes if isinstance(route, Direct)]


def test_there_are_direct_routes() -> None:
    assert {"/v1/attention", "/v2/models/{model}/infer"} <= {route.path for route in direct_routes()}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("path", [route.path.format(model="cosine", version="1") for route in direct_routes()])
def test_short_and_long_way_answer_alike(
    server: Server, long_way: Server, connected: httpx.Client, path: str, asked: dict[str, Any]
) -> None:
    question = {"method": "POST", **asked}
    headers = {"X-Request-ID": "same", **question.pop("headers", {})}
    short = connected.request(url=server.url + path, headers=headers, **question)
    long = connected.request(url=long_way.url + PREFIX + path, headers=headers, **question)
    without_prefix = long.content.replace(f"{PREFIX}/problems/".encode(), b"/problems/")
    # The problem's own page carries the prefix, and so does what names the path.
    without_prefix = without_prefix.replace(f"{PREFIX}/v".encode(), b"/v")
    assert (short.status_code, short.content) == (long.status_code, without_prefix)
    # The body is compared; how long it is follows.
    assert _headers(short) == _headers(long)


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in ("date", "content-length")}


async def test_only_direct_routes_are_short() -> None:
    """Whatever else there is reaches the application."""
    passed: list[tuple[str, str]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        passed.append((scope["method"], scope["path"]))

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        raise AssertionError(message)

    shortcut = Shortcut(application, create_app(Settings(log_level="warning")).router.routes, USUAL)
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
        await shortcut({"type": "http", "method": method, "path": path, "root_path": ""}, receive, send)
    assert passed == others
    await shortcut({"type": "http", "method": "POST", "path": "/x/v1/attention", "root_path": "/x"}, receive, send)
    assert passed[-1] == ("POST", "/x/v1/attention")


async def test_a_direct_route_does_not_pass_through_the_application() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("the long way")

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(REQUEST).encode(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    app = create_app(Settings(log_level="warning"))
    scope = {"type": "http", "method": "POST", "path": "/v1/attention", "root_path": "", "headers": [], "app": app}
    await Shortcut(application, app.router.routes, USUAL)(scope, receive, send)
    assert sent[0]["status"] == 200


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_a_client_that_goes_away_is_no_defect(tmp_path: Path, prefix: str) -> None:
    """Half a body and then nothing: one line in the log, which is no error, whichever way the request takes."""
    arguments = ("--root-path", prefix) if prefix else ()
    with running_server(tmp_path, *arguments) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            head = (
                f"POST {prefix}/v1/attention HTTP/1.1\r\nHost: x\r\nX-Request-ID: gone\r\nContent-Length: 100\r\n\r\n"
            )
            connection.sendall(head.encode() + b'{"query"')
            time.sleep(0.2)
        until = time.monotonic() + 10
        while "gone" not in server.log.read_text() and time.monotonic() < until:
            time.sleep(0.05)
        lines = [json.loads(line) for line in server.log.read_text().splitlines() if "gone" in line]
    assert [line["level"] for line in lines] == ["info"]
