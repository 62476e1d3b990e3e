"""What stands between Serve and the application, without Ray: cancelled calls, views of memory, ids, and refusals."""

import asyncio
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from service.ray_serve.exchange import ServedApplication
from service.ray_serve.proxy import CONTROL_FIELDS, IMPORT_PATH, ProxyMiddleware, middlewares

Lines = list[tuple[bytes, bytes]]
OK = {"type": "http.response.start", "status": 200, "headers": [(b"attention-kernel", b"v3")]}


def scope_of(path: str = "/v1/attention", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": path, "root_path": "", "headers": list(headers)}


async def nothing() -> Any:
    """Wait for a message that does not come."""
    await asyncio.Event().wait()


async def exchanged(app: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what an application sends."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, nothing, send)
    return sent


async def test_a_cancelled_call_is_a_disconnect_for_the_application() -> None:
    received: list[Any] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        received.append(await receive())
        received.append(await receive())
        await send(OK)

    async def send(message: Any) -> None:
        sent.append(message)

    call = asyncio.ensure_future(ServedApplication(app)(scope_of(), nothing, send))
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert received == [{"type": "http.disconnect"}] * 2
    assert sent == [], "no client would receive it"


async def test_a_view_of_memory_becomes_bytes_that_can_be_pickled() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**OK, "headers": [(b"x-request-id", b"mine"), (b"vary", b"Accept")]})
        await send({"type": "http.response.body", "body": memoryview(b"numbers"), "more_body": True})

    start, body = await exchanged(ServedApplication(app), scope_of("/", (b"x-request-id", b"mine")))
    assert pickle.loads(pickle.dumps(body))["body"] == b"numbers"
    assert start["headers"] == [(b"vary", b"Accept")], "the proxy adds the id"


async def test_an_exception_reaches_serve() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await exchanged(ServedApplication(app), scope_of())


def proxied(answer: Callable[[Any, Any], Any], seen: list[Lines] | None = None) -> ProxyMiddleware:
    """Return the middleware around a proxy that adds an id where there is none, as that of Serve does."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if not any(name == b"x-request-id" for name, _ in scope["headers"]):
            scope["headers"] = [*scope["headers"], (b"x-request-id", b"of-serve")]
        if seen is not None:
            seen.append(scope["headers"])
        await answer(scope, send)

    return ProxyMiddleware(app)


def answering(status: int) -> Callable[[Any, Any], Any]:
    async def answer(scope: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"Request of-serve timed out"})

    return answer


@pytest.mark.parametrize(
    ("status", "expected", "slug"),
    [
        (404, 503, "cluster-unavailable"),
        (408, 504, "deadline-exceeded"),
        (429, 429, "queue-full"),
        (503, 503, "cluster-unavailable"),
    ],
)
async def test_a_refusal_of_serve_becomes_a_problem_document(status: int, expected: int, slug: str) -> None:
    start, body = await exchanged(proxied(answering(status)), scope_of())
    headers = dict(start["headers"])
    assert (start["status"], headers[b"content-type"]) == (expected, b"application/problem+json")
    document = json.loads(body["body"])
    assert document["type"] == f"/problems/{slug}"
    assert document["instance"].encode() == headers[b"x-request-id"] == b"of-serve"
    assert (b"retry-after" in headers) == (expected != 504)


async def test_a_replica_that_ends_without_an_answer_is_a_503() -> None:
    async def answer(scope: Any, send: Any) -> None:
        """Send nothing, as Serve does."""

    start, _ = await exchanged(proxied(answer), scope_of("/v2/models"))
    assert start["status"] == 503


async def test_an_answer_that_breaks_off_stays_broken_off() -> None:
    async def answer(scope: Any, send: Any) -> None:
        await send(OK)

    assert await exchanged(proxied(answer), scope_of()) == [OK], "the server closes the connection"


async def test_serve_answers_at_its_own_paths() -> None:
    start, _ = await exchanged(proxied(answering(503)), scope_of("/-/healthz"))
    assert start["status"] == 503
    assert dict(start["headers"])[b"content-type"] == b"text/plain"


@pytest.mark.parametrize(("sent", "passed"), [(b"mine", b"mine"), (b"two words", b"of-serve"), (b"\xff", b"of-serve")])
async def test_a_request_id_of_no_proper_form_is_replaced(sent: bytes, passed: bytes) -> None:
    seen: list[Lines] = []
    await exchanged(proxied(answering(200), seen), scope_of("/", (b"x-request-id", sent)))
    assert seen == [[(b"x-request-id", passed)]]


async def test_fields_that_control_serve_are_not_passed_on() -> None:
    seen: list[Lines] = []
    fields = [(name, b"?1") for name in sorted(CONTROL_FIELDS)]
    await exchanged(proxied(answering(200), seen), scope_of("/", *fields, (b"accept", b"*/*")))
    assert seen == [[(b"accept", b"*/*"), (b"x-request-id", b"of-serve")]]


def test_the_variable_names_the_function_that_serve_calls() -> None:
    module, _, function = IMPORT_PATH.partition(":")
    assert (module, function) == (middlewares.__module__, middlewares.__name__)
    assert [one.cls for one in middlewares()] == [ProxyMiddleware]
