"""Middleware of the proxies of Ray Serve: a request id that is well-formed, and errors in the format of the service.

Serve loads it where RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH is ``service.ray_serve.proxy:middlewares`` on every node.
"""

from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.middleware.request_context import REQUEST_ID
from service.problems import respond

IMPORT_PATH = f"{__name__}:middlewares"
"""What the variable names."""

SERVE_PATHS = "/-/"
"""Paths at which Serve itself answers: its health and its routes."""

CONTROL_FIELDS = frozenset(
    {
        b"x-request-timeout-seconds",
        b"x-request-disconnect-disabled",
        b"x-session-id",
        b"serve_multiplexed_model_id",
        b"serve-multiplexed-model-id",
    }
)
"""Fields by which Serve lets a client change how its request is handled, such as to compute on for a client that left.

They are no part of the interface of the service, and are not passed on."""

PROBLEMS = {
    408: ("deadline-exceeded", "expected an answer before request_timeout_s of Ray Serve; received none. Send less."),
    429: ("queue-full", "expected a free place in the queue of Ray Serve; received one request more. Try again later."),
}
"""Slug and detail of an answer that Serve gives itself, by its status."""

UNAVAILABLE = (
    "cluster-unavailable",
    "expected a replica that answers; received none: it starts, or has ended before its answer. Try again.",
)
"""Slug and detail of every other refusal of Serve, which knows no path while no application runs."""


def middlewares() -> list[Middleware]:
    """Return what a proxy puts around its application."""
    return [Middleware(ProxyMiddleware)]


class ProxyMiddleware:
    """ASGI middleware around a proxy."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application of a proxy."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        if scope["type"] != "http" or scope["path"].startswith(SERVE_PATHS):
            await self._app(scope, receive, send)
            return
        scope["headers"] = _passed_on(scope["headers"])
        answer = _Answer(scope, receive, send)
        await self._app(scope, receive, answer.send)
        if not answer.begun:
            await answer.refuse(0)


class _Answer:
    """The answer to one request: that of a replica, or a problem document in the place of one of Serve."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun = False
        self._scope, self._receive, self._send = scope, receive, send
        self._replaced = False

    async def send(self, message: Message) -> None:
        """Send a message of the proxy, unless another answer takes its place."""
        if message["type"] == "http.response.start" and not _of_service(message):
            await self.refuse(message["status"])
        elif not self._replaced:
            self.begun = True
            await self._send(message)

    async def refuse(self, status: int) -> None:
        """Answer with the problem document of a status of Serve; 0 where the replica has ended without an answer."""
        self.begun = self._replaced = True
        request_id = dict(self._scope["headers"])[b"x-request-id"]
        scope: dict[str, Any] = {**self._scope, "state": {"request_id": request_id.decode()}}
        response = respond(Request(scope), *PROBLEMS.get(status, UNAVAILABLE))
        response.headers["X-Request-ID"] = request_id.decode()
        await response(scope, self._receive, self._send)


def _of_service(start: Message) -> bool:
    """Return whether an answer is from a replica, which names its kernel in each."""
    return b"attention-kernel" in dict(start["headers"])


def _passed_on(lines: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the header fields for the replica; without a request id of a proper form Serve makes one."""
    ids = [value for name, value in lines if name == b"x-request-id"]
    left_out = CONTROL_FIELDS if len(ids) == 1 and REQUEST_ID.fullmatch(ids[0]) else {*CONTROL_FIELDS, b"x-request-id"}
    return [line for line in lines if line[0] not in left_out]
