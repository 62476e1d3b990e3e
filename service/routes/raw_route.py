"""Routes that FastAPI describes and that answer without it (docs/adr/0001-raw-routes.md)."""

from collections.abc import Awaitable, Callable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.compute import Reply

MAX_MESSAGE_BYTES = 1 << 18
"""Maximum bytes of a long answer in one ASGI message, which are handed to the connection at once."""


class RawRequest(Request):
    """A request whose endpoint sends the response itself, so that it knows when the last byte is sent."""

    async def respond(self, response: Response) -> None:
        """Send a response."""
        await response(self.scope, self._receive, self._send)


RawEndpoint = Callable[[RawRequest], Awaitable[None]]


class RawRoute(APIRoute):
    """A route in the OpenAPI document like any other, whose endpoint is called without dependency injection.

    The endpoint takes a RawRequest, reads the body itself and responds itself.  Together with the fast path that saves
    92 µs of the row "4 keys × 8, JSON, all three results" of benchmarks/RESULTS.md.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the router answers other methods than the route's."""
        if self.methods is not None and scope["method"] not in self.methods:
            await super().handle(scope, receive, send)
        else:
            await self.serve(RawRequest(scope, receive, send))

    async def serve(self, request: RawRequest) -> None:
        """Call the endpoint."""
        endpoint: RawEndpoint = self.endpoint
        await endpoint(request)


class ReplyResponse(Response):
    """A computed answer; `vary` names the request headers that it depends on.

    Headers and messages are written without Starlette's own, which take 12 µs more of the row "4 keys × 8, JSON, all
    three results".
    """

    def __init__(self, reply: Reply, vary: bytes = b"Accept, Accept-Encoding") -> None:
        self.status_code = reply.status
        self.body = reply.content
        self.background = None
        self.raw_headers = [
            (b"content-length", b"%d" % len(reply.content)),
            (b"content-type", reply.media_type.encode("latin-1")),
            (b"vary", vary),
            *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, a long one in several messages: each is freed once the client has read it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        content = self.body
        if len(content) > MAX_MESSAGE_BYTES:
            view, last = memoryview(content), (len(content) - 1) // MAX_MESSAGE_BYTES * MAX_MESSAGE_BYTES
            for start in range(0, last, MAX_MESSAGE_BYTES):
                part = view[start : start + MAX_MESSAGE_BYTES]
                await send({"type": "http.response.body", "body": part, "more_body": True})
            content = view[last:]
        await send({"type": "http.response.body", "body": content})
