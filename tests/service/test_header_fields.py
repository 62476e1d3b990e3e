"""Header fields on several lines, and header values that Python would read but HTTP does not know."""

import gzip
import json
import re
import socket
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.middleware.header_fields import IDENTIFIERS, LIST_FIELDS, SINGLETON_FIELDS, combine
from tests.server import Server, running_server

REQUEST = {"query": [[1.0, 0.0]], "key": [[1.0, 0.0], [0.0, 1.0]], "value": [[1.0], [2.0]]}
INFERENCE = {
    "inputs": [{"name": name, "shape": [1, 1], "datatype": "FP64", "data": [1.0]} for name in ("query", "key", "value")]
}
ATTENTION, INFER = "/v1/attention", "/v2/models/dot_product/infer"
LONG = {**REQUEST, "query": [[1.0, 0.0]] * 400}
"""A request whose answer is worth compressing."""

JSON, SVG, SAFETENSORS = "application/json", "image/svg+xml", "application/vnd.safetensors"
KEY, PAGE = "first-key-4711", "https://page.example"

Lines = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> str:
        """The detail of an error, after a look at its form."""
        document = json.loads(self.body)
        inference = self.headers["content-type"] == JSON
        assert inference or self.headers["content-type"] == "application/problem+json"
        assert document["status"] == self.status
        assert document["instance"] == self.headers["x-request-id"]
        return str(document["detail"])


def ask(server: Server, method: str, path: str, lines: Lines = (), body: bytes = b"") -> Answer:
    """Send a request with exactly these lines of headers, beside Host and Content-Length."""
    with closing(HTTPConnection("127.0.0.1", urlsplit(server.url).port, timeout=20)) as connection:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in lines:
            connection.putheader(name, value)
        if not any(name == "Content-Length" for name, _ in lines):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response: HTTPResponse = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())


def post(server: Server, lines: Lines, path: str = ATTENTION, document: object = None) -> Answer:
    default = INFERENCE if path == INFER else REQUEST
    return ask(server, "POST", path, lines, json.dumps(document or default).encode())


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server that asks for keys and lets one page read."""
    directory = tmp_path_factory.mktemp("guarded")
    with running_server(directory, API_KEYS=KEY, CORS_ORIGINS=PAGE) as server:
        yield server


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["text/html", JSON], JSON),
        (["image/png", "text/html", SVG], SVG),
        ([f"{SVG};q=0.9", f"{JSON};q=0.1"], SVG),
        ([f"{JSON};q=0.1", f"{SVG};q=0.9"], SVG),
        (["", SAFETENSORS], SAFETENSORS),
        ([f"{JSON};q=0", f"{SAFETENSORS}, text/html"], SAFETENSORS),
    ],
)
def test_accept_on_several_lines_is_one_list(server: Server, lines: list[str], expected: str) -> None:
    several = post(server, [("Accept", line) for line in lines])
    together = post(server, [("Accept", ", ".join(lines))])
    assert (several.status, several.headers["content-type"].partition(";")[0]) == (200, expected)
    assert several.body == together.body


def test_accept_on_several_lines_that_all_exclude_is_a_406_with_all_of_them(server: Server) -> None:
    refused = post(server, [("Accept", "text/html"), ("Accept", f"{JSON};q=0")])
    assert refused.status == 406
    assert f"received text/html, {JSON};q=0" in refused.problem


@pytest.mark.parametrize("path", [ATTENTION, INFER])
@pytest.mark.parametrize(
    ("lines", "expected"),
    [(["br;q=0", "gzip"], "gzip"), (["x-gzip"], "gzip"), (["X-GZip;q=0.5", "deflate;q=0.4"], "gzip"),
     (["gzip;q=0.4", "deflate"], "deflate"), (["x-gzip;q=0", "gzip;q=0", "deflate;q=0"], None), (["x-compress"], None)],
)  # fmt: skip
def test_accept_encoding_on_several_lines_is_one_list(
    server: Server, path: str, lines: list[str], expected: str | None
) -> None:
    numbers = {"shape": [400, 1], "datatype": "FP64", "data": [1.0] * 400}
    document = {"inputs": [{"name": name, **numbers} for name in ("query", "key", "value")]} if path == INFER else LONG
    answer = post(server, [("Accept-Encoding", line) for line in lines], path, document)
    assert (answer.status, answer.headers.get("content-encoding")) == (200, expected)
    openers: dict[str | None, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}
    assert json.loads(openers.get(expected, bytes)(answer.body))


@pytest.mark.parametrize("path", [ATTENTION, INFER])
@pytest.mark.parametrize(
    "lines",
    [["identity", "gzip"], ["gzip", "identity"], ["identity, gzip"], ["gzip,"], ["x-gzip"], ["X-Gzip"], ["", "gzip"],
     ["identity", "X-GZIP , identity"]],
)  # fmt: skip
def test_content_encoding_is_a_list(server: Server, path: str, lines: list[str]) -> None:
    body = gzip.compress(json.dumps(INFERENCE if path == INFER else REQUEST).encode())
    answer = ask(server, "POST", path, [("Content-Encoding", line) for line in lines], body)
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("path", [ATTENTION, INFER])
@pytest.mark.parametrize(
    ("lines", "received"),
    [(["gzip", "gzip"], "gzip, gzip"), (["gzip, deflate"], "gzip, deflate"), (["gzip", "identity", "x-gzip"], "x-gzip"),
     (["x-compress"], "x-compress"), (["compress"], "compress"), (["identity", "snappy"], "identity, snappy")],
)  # fmt: skip
def test_codings_that_are_not_undone_are_a_415_that_names_them(
    server: Server, path: str, lines: list[str], received: str
) -> None:
    body = gzip.compress(gzip.compress(json.dumps(REQUEST).encode()))
    answer = ask(server, "POST", path, [("Content-Encoding", line) for line in lines], body)
    assert answer.status == 415
    assert received in answer.problem
    assert "once" in answer.problem
    assert "gzip" in answer.headers["accept-encoding"]


def test_if_none_match_on_several_lines_is_one_list(server: Server) -> None:
    etag = ask(server, "GET", "/static/docs.css").headers["etag"]
    answer = ask(server, "GET", "/static/docs.css", [("If-None-Match", '"another"'), ("If-None-Match", etag)])
    assert (answer.status, answer.body) == (304, b"")


def test_a_preflight_may_ask_for_headers_on_several_lines(guarded: Server) -> None:
    asked = [("Access-Control-Request-Headers", name) for name in ("x-api-key", "content-type")]
    lines = [("Origin", PAGE), ("Access-Control-Request-Method", "POST"), *asked]
    answer = ask(guarded, "OPTIONS", ATTENTION, lines)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, PAGE)


VALUES = {
    "access-control-request-method": ("POST", "GET"),
    "authorization": (f"Bearer {KEY}", "Bearer another"),
    "content-type": (JSON, SAFETENSORS),
    "if-modified-since": ("Sat, 01 Jan 2000 00:00:00 GMT", "Sun, 02 Jan 2000 00:00:00 GMT"),
    "if-range": ('"a"', '"b"'),
    "inference-header-content-length": ("10", "11"),
    "content-range": ("bytes 0-9/10", "bytes 0-8/10"),
    "origin": (PAGE, "https://elsewhere.example"),
    "range": ("bytes=0-1", "bytes=2-3"),
    "request-timeout": ("5", "50"),
    "x-api-key": (KEY, "another"),
}
"""Two values of each field that has a single one; the protocol refuses a doubled Content-Length or Host."""


def test_these_tests_know_every_field_with_a_single_value() -> None:
    assert set(VALUES) == {name.decode() for name in SINGLETON_FIELDS} - {"content-length", "host"}


@pytest.mark.parametrize("path", [ATTENTION, INFER])
@pytest.mark.parametrize("name", VALUES)
def test_two_different_values_of_a_single_one_are_a_400(guarded: Server, path: str, name: str) -> None:
    for values in (VALUES[name], VALUES[name][::-1]):
        answer = post(guarded, [("X-Request-ID", "doubled"), *((name, value) for value in values)], path)
        assert answer.status == 400
        assert answer.problem.startswith(f"expected one value of {name}; received several that differ.")
        assert answer.headers["x-request-id"] == "doubled"


def test_a_second_key_is_not_tried(guarded: Server) -> None:
    """Neither before nor behind the wrong one: a proxy may have looked at the other."""
    for first, second in ((KEY, "wrong"), ("wrong", KEY)):
        assert post(guarded, [("X-API-Key", first), ("X-API-Key", second)]).status == 400
    assert post(guarded, [("Authorization", "Basic abc"), ("X-API-Key", KEY)]).status == 200


@pytest.mark.parametrize("name", ["content-type", "request-timeout", "x-api-key", "authorization", "origin"])
def test_the_same_value_twice_is_one(guarded: Server, name: str) -> None:
    lines = [] if name in ("x-api-key", "authorization") else [("X-API-Key", KEY)]
    assert post(guarded, [*lines, (name, VALUES[name][0]), (name, VALUES[name][0])]).status == 200


@pytest.mark.parametrize("values", [("40", "41"), ("40", "40, 41")])
def test_a_doubled_content_length_is_a_400(server: Server, values: tuple[str, str]) -> None:
    body = json.dumps(REQUEST).encode()
    answer = ask(server, "POST", ATTENTION, [("Content-Length", value) for value in values], body)
    assert answer.status == 400
    assert answer.problem


def test_two_request_ids_are_as_good_as_none(server: Server) -> None:
    lines = [("X-Request-ID", "one"), ("X-Request-ID", "two"), ("traceparent", "nonsense"), ("traceparent", "more")]
    answer = post(server, lines)
    assert answer.status == 200
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
    assert post(server, [("X-Request-ID", "one")] * 2).headers["x-request-id"] == "one"


def test_lines_are_joined_in_their_order_and_other_fields_change_nothing() -> None:
    lines = [(b"tracestate", b"a=1"), (b"accept", b"x"), (b"tracestate", b"b=2"), (b"cookie", b"c"), (b"cookie", b"d")]
    lines += [(b"traceparent", b"1"), (b"traceparent", b"2"), (b"content-type", b"t"), (b"content-type", b"t")]
    fields, contradictory = combine(lines)
    expected = {b"tracestate": b"a=1, b=2", b"accept": b"x", b"cookie": b"c, d", b"content-type": b"t"}
    assert (fields, contradictory) == (expected, [])


def test_every_field_that_is_read_is_in_one_of_the_tables(project: Path) -> None:
    """And no module reads them past the tables, as Starlette's own `request.headers` would."""
    known = LIST_FIELDS | SINGLETON_FIELDS | IDENTIFIERS
    assert len(known) == len(LIST_FIELDS) + len(SINGLETON_FIELDS) + len(IDENTIFIERS)
    sources = {path: path.read_text() for path in (project / "service").rglob("*.py") if "client" not in path.parts}
    read = {
        name.encode()
        for text in sources.values()
        for name in re.findall(
            r'(?:header_field\([\w.]+, |fields\.get\(|headers\.get\(|\(scope\)\.get\(|name == )b"([^"]+)"', text
        )
    }
    assert read
    assert read <= known
    assert [str(path) for path, text in sources.items() if "request.headers" in text] == []


WRONG_SECONDS = [
    "inf",
    "nan",
    "-inf",
    "1_0",
    "1e3",
    "+5",
    "-5",
    "0x10",
    "5.",
    ".5",
    "1.5.5",
    "5s",
    "",
    "0",
    "0.0",
    "\u0663",
]


@pytest.mark.parametrize("path", [ATTENTION, INFER])
@pytest.mark.parametrize("text", WRONG_SECONDS)
def test_request_timeout_is_digits_with_an_optional_fraction(server: Server, path: str, text: str) -> None:
    answer = post(server, [("Request-Timeout", text.encode("utf-8").decode("latin-1"))], path)
    assert answer.status == 400
    assert answer.problem.startswith("expected a number of seconds greater than 0 in Request-Timeout, digits with")
    assert "received '" in answer.problem


@pytest.mark.parametrize("text", ["5", "2.5", "007", "0.999", "9" * 400])
def test_request_timeout_takes_every_such_number(server: Server, text: str) -> None:
    assert post(server, [("Request-Timeout", text)]).status == 200


@pytest.mark.parametrize("text", ["1_0", "+10", "-1", "1e1", "10.0", "0x10", "\u0661\u0660", "", "1 0"])
def test_the_length_of_the_json_is_digits(server: Server, text: str) -> None:
    answer = post(server, [("Inference-Header-Content-Length", text.encode("utf-8").decode("latin-1"))], INFER)
    assert answer.status == 400
    assert "expected a number of bytes in Inference-Header-Content-Length" in answer.problem


@pytest.mark.parametrize("text", ["1_0", "+10", "-1", "1e1", "10.0", "0x10", "\u0661\u0660", "", "1 0", "10, 10"])
def test_the_length_of_a_body_is_digits(server: Server, text: str) -> None:
    """Refused before the service reads it with Python's `int`."""
    head = f"POST {ATTENTION} HTTP/1.1\r\nHost: a\r\nContent-Length: {text}\r\n\r\n".encode()
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=10)) as connection:
        connection.sendall(head + b"x" * 10)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")


METRICS = {
    "application/openmetrics-text;q=0, */*": (200, "text/plain; version=0.0.4"),
    "application/openmetrics-text;q=0.000, text/plain": (200, "text/plain; version=0.0.4"),
    "application/openmetrics-text;q=0": (406, None),
    "text/plain;q=0, application/openmetrics-text;q=0": (406, None),
    "application/json": (406, None),
    "text/plain;q=0, */*": (200, "application/openmetrics-text; version=1.0.0"),
    "application/openmetrics-text;q=0.2, text/plain;q=0.5": (200, "text/plain; version=0.0.4"),
    "application/openmetrics-text;version=1.0.0;q=0.5, application/openmetrics-text;version=0.0.1;q=0": (
        200, "application/openmetrics-text; version=1.0.0",
    ),
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;"
    "q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1": (
        200, "application/openmetrics-text; version=1.0.0",
    ),
    "": (200, "text/plain; version=0.0.4"),
    "*/*": (200, "text/plain; version=0.0.4"),
}  # fmt: skip


@pytest.mark.parametrize("accept", METRICS)
def test_metrics_are_negotiated_like_everything_else(server: Server, accept: str) -> None:
    status, media_type = METRICS[accept]
    answer = ask(server, "GET", "/metrics", [("Accept", accept)])
    assert answer.status == status
    if media_type is None:
        assert f"received {accept}" in answer.problem
    else:
        assert answer.headers["content-type"].startswith(media_type)
        assert (b"# EOF" in answer.body) is media_type.startswith("application")


@pytest.mark.parametrize(
    ("accept", "status"),
    [("text/html", 307), ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 307), ("*/*", 200),
     ("text/html;q=0", 200), ("text/html;q=0, */*", 200), ("application/json, text/html;q=0.5", 200), ("", 200),
     ("text/html, application/json", 307)],
)  # fmt: skip
def test_the_front_page_sends_those_to_the_playground_who_want_html_most(
    server: Server, accept: str, status: int
) -> None:
    assert ask(server, "GET", "/", [("Accept", accept)]).status == status
