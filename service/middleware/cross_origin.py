"""Cross-origin resource sharing (CORS): the origins whose pages may use the service, by default none.

A browser sends a preflight request without a key, and shows an answer, errors included, only to a page of an origin
that the answer names.  Credentials are never allowed: keys travel in headers, and there are no cookies.
"""

from collections.abc import Collection

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.middleware.header_fields import header_fields
from service.problems import respond

ANY_ORIGIN = "*"

METHODS = "DELETE, GET, HEAD, POST, PUT"

REQUEST_HEADERS = (
    "Accept, Accept-Encoding, Authorization, Content-Encoding, Content-Type, If-Match, If-None-Match, "
    "Inference-Header-Content-Length, Request-Timeout, traceparent, tracestate, X-API-Key, X-Request-ID"
)
"""Headers that a page may send: all that the service reads."""

EXPOSED = (
    b"Attention-Kernel, Attention-Memory-Version, ETag, Inference-Header-Content-Length, Location, Retry-After, "
    b"WWW-Authenticate, X-Request-ID"
)
"""Headers that a page may read beside those that it may always read."""

PREFLIGHT_MAX_AGE_SECONDS = 600

VARY = (b"vary", b"Origin")


class CrossOriginMiddleware:
    """Outermost ASGI middleware: adds to every answer the origin whose pages may read it."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Headers are not combined yet; a request with two different origins is refused further in.
        origin = next((value for name, value in scope["headers"] if name == b"origin"), b"")
        allowed = _allowed(origin, self._origins)
        headers = [] if ANY_ORIGIN in self._origins else [VARY]
        if allowed:
            headers += [(b"access-control-allow-origin", allowed), (b"access-control-expose-headers", EXPOSED)]

        async def send_with_permission(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].extend(headers)
            await send(message)

        await self._app(scope, receive, send_with_permission)


class PreflightMiddleware:
    """ASGI middleware that answers preflight requests, which carry no key."""

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
        origin = header_fields(request.scope).get(b"origin", b"")
        if not _allowed(origin, self._origins):
            received = origin.decode("latin-1")[:200]
            detail = f"expected a page of an origin that is allowed here; received {received!r}. The operator of "
            return respond(request, "forbidden", detail + "this service can add it to ATTENTION_CORS_ORIGINS.")
        headers = {
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": REQUEST_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_MAX_AGE_SECONDS),
        }
        return Response(status_code=204, headers=headers)


def _is_preflight(scope: Scope) -> bool:
    options = scope["type"] == "http" and scope["method"] == "OPTIONS"
    return options and bool(header_fields(scope).get(b"access-control-request-method"))


def _allowed(origin: bytes, origins: Collection[str]) -> bytes | None:
    """Return the value of Access-Control-Allow-Origin for an origin; None when it is not allowed."""
    if not origin:
        return None
    if ANY_ORIGIN in origins:
        return b"*"
    return origin if origin.decode("latin-1") in origins else None
