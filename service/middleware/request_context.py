"""The context of every exchange: a request id, a log line, metrics, and an answer even for a defect."""

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
from service.middleware.header_fields import STATE, combine, contradiction
from service.problems import cut_short, internal_error, respond
from service.telemetry.exchange import PROBE_PATHS, Exchange, Tracer, caller_of, media_type_of
from service.telemetry.logs import AccessLog
from service.telemetry.metrics import Metrics

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

error_log = logging.getLogger("service.error")


class RequestContextMiddleware:
    """ASGI middleware around the application, which identifies, records and always answers a request."""

    def __init__(
        self, app: ASGIApp, access_log: AccessLog, metrics: Metrics, kernel: str, tracer: Tracer | None = None
    ) -> None:
        """Wrap an application.

        :param app: the application.
        :param access_log: writes a line for each exchange.
        :param metrics: counts exchanges.
        :param kernel: name of the kernel that computes, for the header field of every answer.
        :param tracer: begins a span for each exchange; None for no spans.
        """
        self._app = app
        self._kernel = (b"attention-kernel", kernel.encode())
        self._access_log = access_log
        self._metrics = metrics
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        lines = scope["headers"]
        headers: dict[bytes, bytes] = dict(lines)
        contradictory: list[bytes] = []
        if len(headers) < len(lines):
            headers, contradictory = combine(lines)
            # Starlette reads the lines themselves.
            scope["headers"] = list(headers.items())
        exchange = _exchange_of(scope, headers)
        end_span = None
        if self._tracer is not None and exchange.measured:
            end_span = self._tracer.begin(exchange, scope["path"], headers)
        state = scope.setdefault("state", {})
        state["request_id"] = exchange.request_id
        state[STATE] = headers
        if exchange.measured:
            self._metrics.arrived()
        if exchange.method == "HEAD":
            # Answer HEAD as a GET without Range; the server leaves the body out.
            headers.pop(b"range", None)
            state["is_head"] = True
            scope = {**scope, "method": "GET"}
        channels = _CountingChannels(exchange, self._kernel, receive, send)
        try:
            if contradictory:
                refusal = respond(Request(scope), "malformed-body", contradiction(contradictory))
                await refusal(scope, channels.receive, channels.send)
            else:
                await self._answer(exchange, scope, channels)
        finally:
            exchange.problem = state.get("problem")
            exchange.route = _template_of(scope, exchange.problem)
            exchange.seconds = perf_counter() - started
            self._metrics.ended(exchange)
            if end_span is not None:
                end_span()
            self._access_log.write(exchange)

    async def _answer(self, exchange: Exchange, scope: Scope, channels: "_CountingChannels") -> None:
        try:
            await self._app(scope, channels.receive, channels.send)
        except Disconnected:
            pass
        except asyncio.CancelledError:
            if exchange.status:
                raise
            # Only a process that has run out of time to drain cancels its requests.
            await cut_short(Request(scope))(scope, channels.receive, channels.send)
        except Exception:
            error_log.exception("unexpected failure", extra={"exchange": exchange})
            if exchange.status:
                raise  # part of the answer is sent: only a closed connection tells the client that the rest is missing
            await internal_error(Request(scope))(scope, channels.receive, channels.send)


class _CountingChannels:
    """The receive and send channels of one exchange, which count the bytes of the bodies."""

    __slots__ = ("_exchange", "_kernel", "_receive", "_send")

    def __init__(self, exchange: Exchange, kernel: tuple[bytes, bytes], receive: Receive, send: Send) -> None:
        self._exchange = exchange
        self._kernel = kernel
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
            headers.append(self._kernel)
        elif exchange.method != "HEAD":
            exchange.sent += len(message.get("body", b""))
        await self._send(message)


def _exchange_of(scope: Scope, headers: Mapping[bytes, bytes]) -> Exchange:
    """Return the record of an exchange that begins with this head."""
    return Exchange(
        _request_id(headers.get(b"x-request-id")),
        scope["method"],
        not scope["path"].endswith(PROBE_PATHS),
        media_type_of(headers.get(b"content-type")),
        caller_of(headers.get(b"traceparent")),
    )


def _template_of(scope: Scope, problem: str | None) -> str | None:
    """Return the path template of the route, also of a request that was refused before the route was looked up."""
    route = scope.get("route")
    if route is None and problem is not None and problem != "not-found" and "app" in scope:
        routes = scope["app"].router.routes
        route = next((one for one in routes if one.matches(scope)[0] is not Match.NONE), None)
    return getattr(route, "path", None)


def _request_id(sent: bytes | None) -> str:
    """Return the id of the caller if it is well-formed, else a new one."""
    return str(sent, "ascii") if sent is not None and REQUEST_ID.fullmatch(sent) else urandom(8).hex()
