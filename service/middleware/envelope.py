"""What every exchange carries, whatever happens inside: a request id, a log line, numbers, never a bare failure."""

import asyncio
import logging
import re
from collections.abc import Mapping
from os import urandom
from time import perf_counter

from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Disconnected
from service.problems import cut_short, internal_error
from service.telemetry.exchange import UNWATCHED, Exchange, Tracer, caller_of, media_type_of
from service.telemetry.logs import AccessLog
from service.telemetry.metrics import Metrics

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

error_log = logging.getLogger("service.error")


class Envelope:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, access_log: AccessLog, metrics: Metrics, tracer: Tracer | None = None) -> None:
        self._app = app
        self._access_log = access_log
        self._metrics = metrics
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        # Of a header that comes twice the first counts.
        headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        exchange = _opened(scope, headers)
        end_span = None
        if self._tracer is not None and exchange.watched:
            end_span = self._tracer.begin(exchange, scope["path"], headers)
        state = scope.setdefault("state", {})
        state["request_id"] = exchange.request_id
        if exchange.watched:
            self._metrics.arrived()
        if exchange.method == "HEAD":
            # The answer to HEAD is that to GET; the server leaves the body out.
            scope = {**scope, "method": "GET"}
        try:
            await self._answer(exchange, scope, _Counted(exchange, receive, send))
        finally:
            exchange.problem = state.get("problem")
            exchange.route = _template_of(scope, exchange.problem)
            exchange.seconds = perf_counter() - started
            self._metrics.ended(exchange)
            if end_span is not None:
                end_span()
            self._access_log.write(exchange)

    async def _answer(self, exchange: Exchange, scope: Scope, counted: "_Counted") -> None:
        try:
            await self._app(scope, counted.receive, counted.send)
        except Disconnected:
            pass
        except asyncio.CancelledError:
            if exchange.status:
                raise
            # Only a process that has run out of time to drain cancels what it is at.
            await cut_short(Request(scope))(scope, counted.receive, counted.send)
        except Exception:
            error_log.exception("unexpected failure", extra={"exchange": exchange})
            if exchange.status:
                raise  # half an answer is out: only closing the connection tells the client that it is not whole
            await internal_error(Request(scope))(scope, counted.receive, counted.send)


class _Counted:
    """Both directions of one exchange, counted as they pass."""

    __slots__ = ("_exchange", "_receive", "_send")

    def __init__(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        self._exchange = exchange
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        message = await self._receive()
        self._exchange.received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        exchange = self._exchange
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            headers = message["headers"]
            for name, value in headers:
                if name == b"content-type":
                    exchange.sent_type = media_type_of(value)
            headers.append((b"x-request-id", exchange.request_id.encode()))
        elif exchange.method != "HEAD":
            exchange.sent += len(message.get("body", b""))
        await self._send(message)


def _opened(scope: Scope, headers: Mapping[bytes, bytes]) -> Exchange:
    """Return what is known of an exchange from its head."""
    return Exchange(
        _request_id(headers.get(b"x-request-id")),
        scope["method"],
        not scope["path"].endswith(UNWATCHED),
        media_type_of(headers.get(b"content-type")),
        caller_of(headers.get(b"traceparent")),
    )


def _template_of(scope: Scope, problem: str | None) -> str | None:
    """Return the template of the route, also of a request that was refused before it was led there."""
    route = scope.get("route")
    if route is None and problem is not None and problem != "not-found" and "app" in scope:
        ways = ((one, one.matches(scope)[0]) for one in scope["app"].router.routes)
        route = next((one for one, match in ways if match is not Match.NONE), None)
    return getattr(route, "path", None)


def _request_id(sent: bytes | None) -> str:
    """Return the caller's id if it is well-formed, else a new one."""
    return str(sent, "ascii") if sent is not None and REQUEST_ID.fullmatch(sent) else urandom(8).hex()
