"""Pages of other origins (CORS): which of them a browser lets use the service.  By default none.

A browser asks first (preflight), without any key; and it shows an answer, errors included, to the page alone that the
answer names.  Credentials are never allowed: keys travel in headers, and there are no cookies.
"""

from collections.abc import Collection

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import respond

EVERY = "*"

METHODS = "GET, HEAD, POST"

REQUEST_HEADERS = (
    "Accept, Accept-Encoding, Authorization, Content-Encoding, Content-Type, Inference-Header-Content-Length, "
    "Request-Timeout, traceparent, tracestate, X-API-Key, X-Request-ID"
)
"""What a page may send; every header that the service reads."""

EXPOSED = b"Inference-Header-Content-Length, Retry-After, WWW-Authenticate, X-Request-ID"
"""What a page may read beside the headers that it may always read."""

REMEMBER_SECONDS = 600

VARY = (b"vary", b"Origin")


class CrossOrigin:
    """ASGI middleware around everything that sends: every answer says whose pages may read it."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        allowed = _allowed(scope, self._origins)
        headers = [] if EVERY in self._origins else [VARY]
        if allowed:
            headers += [(b"access-control-allow-origin", allowed), (b"access-control-expose-headers", EXPOSED)]

        async def send_with_permission(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].extend(headers)
            await send(message)

        await self._app(scope, receive, send_with_permission)


class Preflight:
    """ASGI middleware that answers a browser's question itself: it carries no key and costs nothing."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        if not _is_preflight(scope):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        await self._answer(request)(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        if not _allowed(request.scope, self._origins):
            origin = request.headers.get("origin", "")[:200]
            detail = f"expected a page of an origin that is allowed here; received {origin!r}. Whoever runs this "
            return respond(request, "forbidden", detail + "service can add it to ATTENTION_CORS_ORIGINS.")
        headers = {
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": REQUEST_HEADERS,
            "Access-Control-Max-Age": str(REMEMBER_SECONDS),
        }
        return Response(status_code=204, headers=headers)


def _is_preflight(scope: Scope) -> bool:
    options = scope["type"] == "http" and scope["method"] == "OPTIONS"
    return options and bool(_header(scope, b"access-control-request-method"))


def _allowed(scope: Scope, origins: Collection[str]) -> bytes | None:
    """Return the value that lets the page that asks read the answer, if it may."""
    origin = _header(scope, b"origin")
    if not origin:
        return None
    if EVERY in origins:
        return b"*"
    return origin if origin.decode("latin-1") in origins else None


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return None
