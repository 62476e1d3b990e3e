"""One request and its answer on a connection: the channels of the application, and the bytes that it sends."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Scope
from uvicorn.protocols.http.flow_control import FlowControl

from service.serving.closing import ClosableTransport

STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

LAST_CHUNK = b"0\r\n\r\n"

BODILESS_STATUSES = (204, 304)

MAX_JOINED_BYTES = 64 * 1024
"""Longest body that is copied behind its head: one packet less for the client, and one system call of 10 µs."""

MAX_UNREAD_BYTES = 256 * 1024
"""Bytes of a body that wait for the application before reading stops; more than the event loop reads at once."""

log = logging.getLogger("service.server")


class RequestCycle:
    """A request whose head has arrived, and its answer.

    The head of the answer is sent with the first bytes of its body.  A client of HTTP/1.0 knows no chunked coding, so
    the end of the connection ends an answer of unknown length.  A client that waits for 100 Continue may send the body
    or leave it out (RFC 9110, 10.1.1), so the connection ends with its answer if it has not been asked to go on: the
    next request would be taken for the body.

    :param scope: of ASGI.
    :param transport: of the connection.
    :param flow: pauses reading and writing.
    :param default_headers: fields of every answer.
    :param on_response: called when the answer is complete.
    :param expects_continue: whether the client waits for 100 Continue before it sends the body.
    :param keep_alive: whether the connection stays open behind the answer.
    """

    __slots__ = (
        "_chunked",
        "_chunks",
        "_default_headers",
        "_error",
        "_expects_continue",
        "_flow",
        "_has_body",
        "_has_news",
        "_head",
        "_left",
        "_on_response",
        "_transport",
        "_unread_bytes",
        "_waiter",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
        "scope",
    )

    def __init__(
        self,
        scope: Scope,
        transport: ClosableTransport,
        flow: FlowControl,
        default_headers: Iterable[tuple[bytes, bytes]],
        on_response: Callable[[], None],
        *,
        expects_continue: bool,
        keep_alive: bool,
    ) -> None:
        self.scope, self.keep_alive = scope, keep_alive
        self._transport, self._flow, self._default_headers = transport, flow, default_headers
        self._on_response, self._expects_continue = on_response, expects_continue
        # The part of the body that the application has not received, and whether it is to be told of anything new.
        self._chunks: list[bytes] = []
        self._unread_bytes = 0
        self._has_news = False
        self._waiter: asyncio.Future[None] | None = None
        self.more_body = True
        self._error: Exception | None = None
        # The head of the answer until it is sent, how its body is framed, and the bytes to come where that is known.
        self._head: bytes | memoryview = b""
        self._has_body = self._chunked = False
        self._left: int | None = None
        self.disconnected = self.response_started = self.response_complete = False

    async def run(self, app: ASGIApp) -> None:
        """Let the application answer; end the connection where it does not."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException:  # a cancellation too: whatever ends the application, the client gets an answer
            log.exception("uncaught exception in the application")
        if self.disconnected or self.response_complete:
            return
        if not self.response_started:
            self.keep_alive = False
            await self.send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
            await self.send({"type": "http.response.body"})
        self._transport.close()

    # What the connection tells

    def add_body(self, content: bytes) -> None:
        """Take a part of the body; stop reading when the application is behind."""
        if self.response_complete:
            return
        self._chunks.append(content)
        self._unread_bytes += len(content)
        if self._unread_bytes > MAX_UNREAD_BYTES:
            self._flow.pause_reading()
        self._wake()

    def end_body(self) -> None:
        """Take the end of the body."""
        if not self.response_complete:
            self.more_body = False
            self._wake()

    def fail(self, error: Exception) -> None:
        """Raise an error where the application receives the rest of the body; the connection ends with its answer."""
        self.keep_alive, self._error = False, error
        self._wake()

    def disconnect(self) -> None:
        """Tell the application that no client reads its answer."""
        self.disconnected = True
        self._wake()

    def _wake(self) -> None:
        self._has_news = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # The channels of the application

    async def receive(self) -> Message:
        """Return the next part of the body, or that the client is gone or has its answer; raise the error of `fail`."""
        if self._expects_continue and not self._transport.is_closing():
            self._transport.write(CONTINUE)
            self._expects_continue = False
        if self._error is None and not (self.disconnected or self.response_complete):
            self._flow.resume_reading()
            if not self._has_news:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
            self._has_news = False
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        if self._error is not None:
            raise self._error
        chunks, self._chunks, self._unread_bytes = self._chunks, [], 0
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        """Send the head or a part of the body; wait until the client has read most of what came before."""
        if self._flow.write_paused and not self.disconnected:
            await self._flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], message["headers"])
        else:
            self._write(message.get("body", b""), more=message.get("more_body", False))

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Make the head of the answer; raises RuntimeError where a header field has a line break."""
        if self.response_started:
            raise RuntimeError("expected one start of an answer; received another")
        if self._expects_continue and self.more_body:
            self.keep_alive = False
        lines, says_close = [STATUS_LINES[status]], False
        for name, value in (*self._default_headers, *headers):
            if name == b"content-length":
                self._left = int(value)
            elif name == b"connection" and value == b"close":
                self.keep_alive, says_close = False, True
            lines.append(b"%b: %b\r\n" % (name, value))
        if not (self.keep_alive or says_close):
            lines.append(b"connection: close\r\n")
        self._has_body = self.scope["method"] != "HEAD" and status not in BODILESS_STATUSES
        self._chunked = self._has_body and self._left is None and self.scope["http_version"] != "1.0"
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        head = b"".join(lines)
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
            raise RuntimeError("expected header fields of one line each; received one with a line break or NUL")
        self._head, self.response_started = head + b"\r\n", True

    def _write(self, body: bytes | memoryview, *, more: bool) -> None:
        """Send a part of the body, behind the head if that waits; raises RuntimeError for a wrong length."""
        if not self.response_started or self.response_complete:
            raise RuntimeError("expected a body between the start and the end of an answer; received it elsewhere")
        parts = [self._head]
        self._head = b""
        if self._chunked:
            parts += (b"%x\r\n" % len(body), body, b"\r\n") if body else ()
            parts += () if more else (LAST_CHUNK,)
        elif self._has_body:
            parts.append(body)
            if self._left is not None:
                self._left -= len(body)
                if self._left < 0 or (self._left and not more):
                    raise RuntimeError(f"expected as many bytes as Content-Length; received others by {-self._left}")
        if len(body) > MAX_JOINED_BYTES:
            self._transport.writelines(parts)
        else:
            self._transport.write(b"".join(parts))
        if not more:
            self.response_complete = True
            self._wake()
            if not self.keep_alive:
                self._transport.close()
            self._on_response()
