"""HTTP/1.1 as uvicorn speaks it, with an end to everything that may be slow, and errors that are problem documents."""

import asyncio
import logging
from http import HTTPStatus
from os import urandom
from typing import Any, cast

from starlette.requests import Request
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from service.middleware.envelope import REQUEST_ID
from service.problems import respond
from service.settings import Settings
from service.telemetry.exchange import OTHER, Exchange, media_type_of

MAX_HEAD_BYTES = 64 * 1024
"""Largest request line and headers together, to the packet."""

MAX_HEADERS = 100
"""Most headers of a request."""

LEAST_LEFT_OVER_BYTES = 1024 * 1024
"""A client that sends its body to the end before it looks for the answer must do so at this pace at least."""

LEFT_OVER_WAITS_SECONDS = 1.0
"""So long nothing of the rest of a large body is read whose request has been answered."""

SMALL_BODY_BYTES = 1024 * 1024
"""What is left of a body up to this size is read at once: its client may have the next request ready."""

LINGER_SECONDS = 2.0
"""So long a connection that is given up stays open: closing at once would tear up the answer."""

REFUSED = "refused"
"""Under this name the application tells, when it starts, whom to tell of exchanges that never came as far as it."""

log = logging.getLogger("service.error")


class Configuration(Config):
    """What uvicorn is told, and what the protocol must know besides."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        super().__init__("service.main:create_app", factory=True, **options)
        self.patience = settings.body_timeout_seconds
        self.max_body_bytes = settings.max_body_bytes
        self.public_path = settings.root_path
        self.drain_seconds = settings.drain_seconds


class State(ServerState):
    """What all connections of a server share."""

    def __init__(self) -> None:
        super().__init__()
        self.draining = False


class Protocol(HttpToolsProtocol):
    """One connection.

    A head must arrive whole within the patience of the service; who reads nothing of an answer for as long is cut off.
    A body whose request has been answered is thrown away: many clients look for the answer only when they have sent it.
    `read_body` watches over other bodies.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._patience = cast("Configuration", config).patience
        self._public_path = cast("Configuration", config).public_path
        self._most_left_over = cast("Configuration", config).max_body_bytes
        self._state = cast("State", server_state)
        self._received = b""
        self._in_head = False
        self._head_bytes = self._left_over = self._left_over_before = 0
        self._whole = True
        self._refused = False
        self._refusal: tuple[str, str] | None = None
        self._reading_ends: asyncio.TimerHandle | None = None
        self._writing_ends: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a head."""
        super().connection_made(transport)
        self._expect_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and its timers."""
        self._expect_nothing()
        super().connection_lost(exc)
        if self._writing_ends is not None:
            self._writing_ends.cancel()
            self._writing_ends = None

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        if not self._refused:
            self._received = data
            super().data_received(data)
            self._received = b""
            self._watch(len(data))

    def _watch(self, received: int) -> None:
        """Bound what is left to come."""
        if self._refused:
            return
        if self._in_head:
            self._head_bytes += received
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(
                    "too-large",
                    f"expected a request line and headers of at most {MAX_HEAD_BYTES} bytes; received "
                    f"{self._head_bytes} or more. Send fewer or shorter headers.",
                )
                return
            self._expect_soon()
        elif not self._answering:
            # The rest of a body whose request has been answered, or empty lines.
            self._left_over += received
            if self._left_over > self._most_left_over:
                self.transport.pause_reading()
                self._hang_up()
            elif self.timeout_keep_alive_task is None:
                self._expect_soon()

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head, self._whole = True, False
        self._head_bytes = self._left_over = self._left_over_before = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._in_head = False
        self._expect_nothing()
        if len(self.headers) > MAX_HEADERS:
            self._refusal = (
                "too-large",
                f"expected at most {MAX_HEADERS} headers; received {len(self.headers)}. Send fewer.",
            )
            raise ValueError("too many headers")
        super().on_headers_complete()
        if self._state.draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """End a request."""
        self._whole = True
        super().on_message_complete()
        if self._reading_ends is not None and not self._answering:
            self._expect_nothing()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """End an answer; what is left of a large request can wait, while others send what has not been refused."""
        super().on_response_complete()
        if not self._whole and not self._refused and not self._is_small():
            self.flow.pause_reading()
            self.loop.call_later(LEFT_OVER_WAITS_SECONDS, self._read_on)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        slug, detail = self._refusal or (
            "malformed-body",
            "expected a request in HTTP/1.1; received something else. Check the request line, the headers and how the "
            "length of the body is announced.",
        )
        self._refuse(slug, detail)

    def pause_writing(self) -> None:
        """Wait until the client has read some of what it was sent, but not for ever."""
        super().pause_writing()
        if self._writing_ends is None:
            self._writing_ends = self.loop.call_later(self._patience, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        if self._writing_ends is not None:
            self._writing_ends.cancel()
            self._writing_ends = None
        super().resume_writing()

    @property
    def _answering(self) -> bool:
        """Whether a request has begun whose answer is not out."""
        return self.cycle is not None and not self.cycle.response_complete

    def _is_small(self) -> bool:
        """Whether the body that has begun is known to be small."""
        announced = next((value for name, value in self.headers if name == b"content-length"), None)
        return announced is not None and int(announced) <= SMALL_BODY_BYTES

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def _expect_soon(self) -> None:
        if self._reading_ends is None:
            self._reading_ends = self.loop.call_later(self._patience, self._too_slow)

    def _expect_nothing(self) -> None:
        if self._reading_ends is not None:
            self._reading_ends.cancel()
            self._reading_ends = None

    def _too_slow(self) -> None:
        self._reading_ends = None
        if self.transport.is_closing():
            return
        if self._in_head:
            self._refuse(
                "timeout",
                f"expected the request line and headers within {self._patience:g} seconds; received only part. "
                "Send them faster.",
            )
        elif self._left_over - self._left_over_before >= LEAST_LEFT_OVER_BYTES:
            self._left_over_before = self._left_over
            self._expect_soon()
        elif not self._answering:
            self.transport.close()

    def _refuse(self, slug: str, detail: str) -> None:
        """Answer with a problem, and end the connection."""
        if self._answering and (self._whole or self._in_head or self.cycle.response_started):
            # What came behind a request that is being answered is no reason to cut its answer short.
            self.cycle.keep_alive = False
            return
        if self._answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(self._problem(slug, detail))
        self._hang_up()

    def _hang_up(self) -> None:
        """Send nothing more, and give the client a moment to read what it was sent."""
        self._refused = True
        self._expect_nothing()
        self._unset_keepalive_if_required()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._reading_ends = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _problem(self, slug: str, detail: str) -> bytes:
        """Return a whole response, in the form that whoever asks for this path expects."""
        named = next((value for name, value in self.headers or () if name == b"x-request-id"), b"")
        request_id = named.decode() if REQUEST_ID.fullmatch(named) else urandom(8).hex()
        # Where the method is none that is known, the parser has not come as far as the path.
        line = self._received.partition(b"\r\n")[0].split(b" ")
        target = getattr(self, "url", b"") or (line[1] if len(line) == 3 else b"")
        path = target.partition(b"?")[0].decode("latin-1")
        scope: dict[str, Any] = {
            "type": "http",
            "path": path,
            "root_path": self._public_path,
            "headers": [],
            "state": {"request_id": request_id},
        }
        response = respond(Request(scope), slug, detail)
        log.warning("refused: %s", slug, extra={"request_id": request_id})
        status = HTTPStatus(response.status_code)
        if REFUSED in self.app_state:
            sent_type = media_type_of(response.headers["content-type"].encode())
            refused = Exchange(request_id, OTHER, watched=False, received_type=OTHER, status=status, problem=slug)
            refused.sent, refused.sent_type = len(response.body), sent_type
            self.app_state[REFUSED](refused)
        headers = [
            *self.server_state.default_headers,
            *response.raw_headers,
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, status.phrase.encode(), head, response.body)
