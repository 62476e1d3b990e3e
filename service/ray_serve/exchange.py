"""An exchange with the proxies of Ray Serve, made to look like one with any server."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

DISCONNECT: Message = {"type": "http.disconnect"}

MAX_END_SECONDS = 5.0
"""Longest wait for an application whose client has disconnected; threads that compute end at their next tile."""


class ServedApplication:
    """ASGI application that passes exchanges of Serve on to another.

    Serve cancels the call of a client that disconnects; the application gets the message that other servers send.
    Serve pickles every message, which a view of memory cannot be.  Its proxy adds the request id to every answer, so
    that the field of the application is left out where it says the same.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange; raise CancelledError where its client has disconnected."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        channels = _Channels(scope, receive, send)
        exchange = asyncio.ensure_future(self._app(scope, channels.receive, channels.send))
        try:
            await asyncio.shield(exchange)
        except asyncio.CancelledError:
            channels.disconnected.set()
            await asyncio.wait([exchange], timeout=MAX_END_SECONDS)
            exchange.cancel()
            raise


class _Channels:
    """The receive and send channels of one exchange."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.disconnected = asyncio.Event()
        """Set once the client has disconnected."""
        self._receive, self._send = receive, send
        self._request_ids = [line for line in scope["headers"] if line[0] == b"x-request-id"]

    async def receive(self) -> Message:
        """Return the next message."""
        message = asyncio.ensure_future(self._receive())
        disconnected = asyncio.ensure_future(self.disconnected.wait())
        try:
            await asyncio.wait([message, disconnected], return_when=asyncio.FIRST_COMPLETED)
            return message.result() if message.done() else DISCONNECT
        finally:
            message.cancel()
            disconnected.cancel()

    async def send(self, message: Message) -> None:
        """Send a message, for as long as there is a client."""
        if self.disconnected.is_set():
            return
        if message["type"] == "http.response.start":
            message = {**message, "headers": [line for line in message["headers"] if line not in self._request_ids]}
        elif isinstance(message.get("body"), memoryview):
            message = {**message, "body": bytes(message["body"])}
        await self._send(message)
