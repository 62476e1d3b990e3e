"""Routes without injection, for endpoints that take nothing but the request."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import cast

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.compute import Reply
from service.errors import ServiceError
from service.problems import on_service_error

PIECE = 1 << 18
"""Bytes of a long answer that are handed to the connection at once."""

Endpoint = Callable[[Request], Awaitable[Response]]


class Direct(APIRoute):
    """A FastAPI route, described as any other, whose endpoint is called as it is: a small request feels the difference.

    The endpoint takes the request, reads the body itself and returns a response.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self.methods is not None and scope["method"] not in self.methods:
            await super().handle(scope, receive, send)
            return
        response = await cast("Endpoint", self.endpoint)(Request(scope, receive, send))
        await response(scope, receive, send)


class Shortcut:
    """ASGI middleware that leads to direct routes straight away, and to all others by way of the application.

    Nothing on that way concerns a direct route but the search for it and what becomes of its errors, which is the same
    here; it takes a fifth of the time of a small request.  Paths are compared as they are: below a public prefix none
    is short.  Of templates there is a short way for the usual values of their parameters.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute], usual: Mapping[str, Sequence[str]]) -> None:
        self._app = app
        self._routes = {
            (method, route.path.format(**values)): (route, values)
            for route in routes
            if isinstance(route, Direct)
            for values in _choices(route.param_convertors, usual)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        found = None
        if scope["type"] == "http" and not scope.get("root_path"):
            found = self._routes.get((scope["method"], scope["path"]))
        if found is None:
            await self._app(scope, receive, send)
            return
        route, values = found
        scope["route"], scope["path_params"] = route, values
        request = Request(scope, receive, send)
        try:
            response = await cast("Endpoint", route.endpoint)(request)
        except ServiceError as error:
            response = await on_service_error(request, error)
        await response(scope, receive, send)


def _choices(names: Iterable[str], usual: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return every choice of usual values for the parameters of a path: one for a path without any."""
    names = list(names)
    return [dict(zip(names, values, strict=True)) for values in product(*(usual[name] for name in names))]


class Answer(Response):
    """A whole answer, which depends on what its client accepts; `on_sent` hears when it is written, or given up."""

    def __init__(self, reply: Reply, on_sent: Callable[[], None], vary: bytes = b"Accept, Accept-Encoding") -> None:
        self.status_code = 200
        self.body = reply.content
        self.background = None
        self.raw_headers = [
            (b"content-length", b"%d" % len(reply.content)),
            (b"content-type", reply.media_type.encode("latin-1")),
            (b"vary", vary),
            *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()),
        ]
        self._on_sent = on_sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; a long one piece by piece, no faster than it is read, so that it is held no longer than counted."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            content = self.body
            if len(content) <= PIECE:
                await send({"type": "http.response.body", "body": content})
                return
            view = memoryview(content)
            for start in range(0, len(content), PIECE):
                piece, more = view[start : start + PIECE], start + PIECE < len(content)
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        finally:
            self._on_sent()
