"""Memories of a running service from the command line: put, append, get, list, delete."""

import http.client
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import SplitResult, urlencode, urlsplit

import orjson

from service.errors import InvalidRequest, ServiceError
from service.memories import NAME, NAME_IN_WORDS
from service.problems import problem_document
from service.streams import DONE, REFUSED, STANDARD_OUTPUT, UNAVAILABLE, Output, read_file, unwritable
from service.terminal import memories_text, memory_text

MEMORIES = "/v1/memories"

JSON, SAFETENSORS = "application/json", "application/vnd.safetensors"

TIMEOUT_SECONDS = 60.0
"""Within which a service must take, or send, the next bytes."""

BLOCK_BYTES = 1 << 20
"""Bytes that are sent or written at once."""

API_KEY = re.compile(r"[!-~]+")
"""Characters that a header field can carry."""


@dataclass(frozen=True, slots=True)
class Order:
    """The arguments of a command line.

    :param url: of the service, with its path prefix.
    :param api_key: sent as Authorization: Bearer; None for none.
    :param output: how descriptions are written; its path is where `get` writes the tensors.
    :param name: of the memory; None for `list`.
    :param file: that holds the body; None for commands without one.
    :param conditions: header fields If-Match and If-None-Match.
    """

    url: str
    api_key: str | None
    output: Output
    name: str | None = None
    file: str | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Path of the memory; raises InvalidRequest for a text that cannot be its name, and might be another path."""
        name = self.name or ""
        if not NAME.fullmatch(name):
            raise InvalidRequest.at("/name", f"expected {NAME_IN_WORDS}; received {name[:200]!r}. Choose another name.")
        return f"{MEMORIES}/{name}"


class Refused(Exception):
    """The service answered with an error, or not at all.

    :param problem: its problem document.
    :param code: of the exit.
    """

    def __init__(self, problem: dict[str, Any], code: int) -> None:
        self.problem, self.code = problem, code
        super().__init__(problem["detail"])


def run(action: str, order: Order) -> int:
    """Ask the service, print the result or the error, and return the exit code."""
    try:
        ACTIONS[action](order)
    except Refused as refusal:
        order.output.complain(refusal.problem)
        return refusal.code
    except ServiceError as error:
        violations = error.violations if isinstance(error, InvalidRequest) else None
        order.output.complain(problem_document(error.slug, str(error), violations=violations))
        return REFUSED
    return DONE


def put(order: Order) -> None:
    """Create or replace a memory from a file."""
    _print_row(_send_file("PUT", order.path, order), order)


def append(order: Order) -> None:
    """Add the keys of a file to a memory."""
    _print_row(_send_file("POST", f"{order.path}/append", order), order)


def get(order: Order) -> None:
    """Describe a memory, or download its tensors to a file."""
    if order.output.path is None:
        content = _read(order, "GET", order.path)
        order.output.write(_shown(content, order, memory_text(_description(content), order.output.screen)))
        return
    with _answer(order, "GET", f"{order.path}/tensors", {"Accept": SAFETENSORS}) as response:
        _save(response, order.output.path)


def list_all(order: Order) -> None:
    """List every memory."""
    found: list[Any] = []
    after = ""
    while True:
        page = _document(_read(order, "GET", f"{MEMORIES}?{urlencode({'after': after})}"), "memories", "next")
        found += page["memories"]
        after = page["next"]
        if after is None:
            break
    content = orjson.dumps({"memories": found, "next": None})
    order.output.write(_shown(content, order, memories_text(found, order.output.screen)))


def delete(order: Order) -> None:
    """Remove a memory."""
    _read(order, "DELETE", order.path, order.conditions)


ACTIONS = {"put": put, "append": append, "get": get, "list": list_all, "delete": delete}


def _send_file(method: str, path: str, order: Order) -> bytes:
    content = read_file(order.file or "-")
    media_type = SAFETENSORS if _is_safetensors(content) else JSON
    return _read(order, method, path, {**order.conditions, "Content-Type": media_type}, content)


def _is_safetensors(content: bytes) -> bool:
    """Return whether a file begins with the length of a header: its highest byte is 0, which no JSON text holds."""
    return content[7:8] == b"\0"


def _print_row(content: bytes, order: Order) -> None:
    """Print the description of a memory as a list of one."""
    order.output.write(_shown(content, order, memories_text([_description(content)], order.output.screen)))


def _shown(content: bytes, order: Order, table: str) -> bytes:
    return content + b"\n" if order.output.form == "json" else table.encode()


def _description(content: bytes) -> dict[str, Any]:
    return _document(content, "name", "version")


def _document(content: bytes, *members: str) -> dict[str, Any]:
    """Return the JSON object of an answer; raises Refused for another one, which no service of ours sent."""
    try:
        document: dict[str, Any] = orjson.loads(content)
        if isinstance(document, dict) and set(members) <= set(document):
            return document
    except orjson.JSONDecodeError:
        pass
    raise _no_answer(f"expected an answer with {' and '.join(members)}; received something else. Check --url.")


def _no_answer(detail: str) -> Refused:
    return Refused({"type": "about:blank", "title": "没有应答 · No answer", "detail": detail}, UNAVAILABLE)


def _read(
    order: Order, method: str, path: str, headers: Mapping[str, str] | None = None, content: bytes | None = None
) -> bytes:
    """Return the whole body of an answer; raises Refused."""
    with _answer(order, method, path, headers or {}, content) as response:
        return response.read()


@contextmanager
def _answer(
    order: Order, method: str, path: str, headers: Mapping[str, str], content: bytes | None = None
) -> Iterator[http.client.HTTPResponse]:
    """Send a request, and give the answer whose body is still to be read; raises Refused unless it says success."""
    address = _address(order.url)
    connection = _connection(address)
    try:
        # A service that refuses a body early answers before it has read all of it.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, address.path.rstrip("/") + path, content, {**_authorized(order), **headers})
        response = connection.getresponse()
        if response.status >= http.client.MULTIPLE_CHOICES:
            raise Refused(_problem(response), REFUSED if _is_own_fault(response.status) else UNAVAILABLE)
        yield response
    except (OSError, http.client.HTTPException) as error:
        raise _no_answer(
            f"expected an answer of a service at {order.url}; received: {str(error) or type(error).__name__}. "
            "Start one with attention-service serve, or name another with --url."
        ) from None
    finally:
        connection.close()


def _is_own_fault(status: int) -> bool:
    """Return whether the request must be changed before it is sent again."""
    return status < http.client.INTERNAL_SERVER_ERROR and status != http.client.TOO_MANY_REQUESTS


def _address(url: str) -> SplitResult:
    """Return the parts of a URL; raises InvalidRequest unless it is one of HTTP."""
    with suppress(ValueError):
        address = urlsplit(url)
        if address.scheme in ("http", "https") and address.hostname and address.port != 0:
            return address
    raise InvalidRequest.at("", f"expected a URL such as http://127.0.0.1:8000; received {url!r}. Name one with --url.")


def _connection(address: SplitResult) -> http.client.HTTPConnection:
    host, port = address.hostname or "", address.port
    if address.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, blocksize=BLOCK_BYTES)
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS, blocksize=BLOCK_BYTES)


def _authorized(order: Order) -> dict[str, str]:
    """Return the header field with the API key; raises InvalidRequest, without the key, for one that it cannot hold."""
    if not order.api_key:
        return {}
    if not API_KEY.fullmatch(order.api_key):
        raise InvalidRequest.at(
            "", "expected an API key of visible ASCII characters, without spaces; received another. Correct it."
        )
    return {"Authorization": f"Bearer {order.api_key}"}


def _problem(response: http.client.HTTPResponse) -> dict[str, Any]:
    """Return the problem document of an answer, or one made of the answer of a proxy."""
    content = response.read()
    try:
        problem: dict[str, Any] = orjson.loads(content)
        if isinstance(problem, dict) and {"type", "title", "status", "detail"} <= set(problem):
            return problem
    except orjson.JSONDecodeError:
        pass
    text = content[:200].decode("utf-8", "replace").strip() or "no explanation"
    return {"type": "about:blank", "title": response.reason or "error", "status": response.status, "detail": text}


def _save(response: http.client.HTTPResponse, path: str) -> None:
    """Write a body to a file, which appears when it is whole, or with ``-`` to the standard output; raises NotFound."""
    target = Path(path)
    # A device or a pipe is written to as it is.
    part = target.with_name(f".{target.name}.part") if target.is_file() or not target.exists() else target
    try:
        if path == "-":
            with suppress(BrokenPipeError), open(STANDARD_OUTPUT, "wb", closefd=False) as stream:
                _copy(response, stream)
            return
        with part.open("wb") as stream:
            _copy(response, stream)
        if part != target:
            part.replace(target)
    except OSError as error:
        raise unwritable(error, path) from None
    finally:
        if part != target:
            part.unlink(missing_ok=True)


def _copy(response: http.client.HTTPResponse, stream: IO[bytes]) -> None:
    """Copy a body to a stream; raises HTTPException if the connection breaks."""
    while True:
        try:
            block = response.read(BLOCK_BYTES)
        except OSError as error:
            raise http.client.HTTPException(str(error)) from error
        if not block:
            break
        stream.write(block)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
