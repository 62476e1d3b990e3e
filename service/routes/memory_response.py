"""Answers about memories: descriptions, statuses without a body, and files that are sent in pieces."""

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.compute import Reply
from service.errors import Disconnected

BODILESS = (204, 304)


class MemoryResponse(Response):
    """An answer whose file, if it has one, is made while it is sent.

    :param reply: the answer.
    :param vary: request headers that it depends on; empty for none.
    """

    def __init__(self, reply: Reply, vary: bytes = b"") -> None:
        self.status_code = reply.status
        self.background = None
        self.body = reply.content
        self._reply = reply
        self.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()
        ]
        if vary:
            self.raw_headers.append((b"vary", vary))
        if reply.status not in BODILESS:
            length = len(reply.content) + (0 if reply.stream is None else reply.stream.length)
            self.raw_headers.append((b"content-type", reply.media_type.encode("latin-1")))
            self.raw_headers.append((b"content-length", b"%d" % length))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; stop where the client has gone."""
        stream = self._reply.stream
        if stream is None or scope["state"].get("is_head"):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.body})
            return
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.body, "more_body": True})
            for piece in stream.pieces:
                if gone.done():
                    raise Disconnected("the client went away before the whole file was sent")
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                # A socket that takes every piece at once would keep the event loop.
                await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()


async def _disconnected(receive: Receive) -> None:
    """Return when the client has disconnected; the body has been received, so that no other message can come."""
    while (await receive())["type"] != "http.disconnect":
        pass
