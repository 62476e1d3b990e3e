"""Discarding the rest of an answered request, so that the answer reaches its client (RFC 9112, 9.6).

A connection that is closed while bytes arrive is reset, and a client that sends its whole body before it reads, as most
do, loses the answer.  So the rest of the body is read and discarded, within bounds, before the next request is read or
the connection is closed.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

from uvicorn.protocols.http.flow_control import FlowControl

MAX_DISCARDED_BODIES = 2
"""Maximum discarded bytes of one request, in multiples of the maximum body …"""

MIN_DISCARDED_BYTES = 128 * 1024 * 1024
"""… or in bytes, where twice the maximum body is less …"""

MAX_FRAMING_BYTES = 1024 * 1024
"""… and additional bytes for chunk sizes, chunk extensions and trailers."""

MAX_DISCARD_SECONDS = 30.0
"""Maximum time to discard the rest of one request."""

DISCARD_DELAY_SECONDS = 1.0
"""Delay before the rest of a large body is read: other connections come first, and many clients stop sending when
they see the answer."""

SMALL_BODY_BYTES = 1024 * 1024
"""Maximum body that is discarded without that delay: its client may have the next request ready."""

MIN_DISCARDED_BYTES_PER_TIMEOUT = 1024 * 1024
"""Minimum bytes of the rest of a body that arrive in each read timeout, for the connection to stay open."""

LINGER_SECONDS = 2.0
"""Time that a connection which is being closed waits for the client to send more, or to close its side."""


class Discarding:
    """Counter of the discarded bytes of one request, with limits of bytes and time."""

    __slots__ = ("_bytes", "_checked_bytes", "_limit", "_until")

    def __init__(self, max_body_bytes: int) -> None:
        self._limit = max(MIN_DISCARDED_BYTES, MAX_DISCARDED_BODIES * max_body_bytes) + MAX_FRAMING_BYTES
        self._bytes = self._checked_bytes = 0
        self._until: float | None = None

    def start(self) -> None:
        """Start the counter and the clock, unless they run already."""
        if self._until is None:
            self._bytes = self._checked_bytes = 0
            self._until = monotonic() + MAX_DISCARD_SECONDS

    def stop(self) -> None:
        """Stop at the end of the request."""
        self._until = None

    def add(self, size: int) -> bool:
        """Count `size` bytes; return whether more may come."""
        self._bytes += size
        return self._bytes <= self._limit

    @property
    def exhausted(self) -> bool:
        """Whether the limit of bytes is exceeded."""
        return self._bytes > self._limit

    def may_continue(self, min_bytes: int) -> bool:
        """Return whether `min_bytes` bytes have arrived since the last call, and no limit is exceeded."""
        arrived, self._checked_bytes = self._bytes - self._checked_bytes, self._bytes
        return arrived >= min_bytes and not self.exhausted and (self._until is None or monotonic() < self._until)


class ClosableTransport:
    """A transport whose `close` asks its owner how to close; `close_now` closes it."""

    def __init__(self, transport: asyncio.Transport, on_close: Callable[[], None]) -> None:
        self._transport, self._on_close = transport, on_close
        self._closing = False
        self.abort = transport.abort
        self.close_now = transport.close
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.write = transport.write
        self.writelines = transport.writelines

    def close(self) -> None:
        """Write nothing more and close, now or when the client has sent what it is sending."""
        if not self.is_closing():
            self._closing = True
            self._on_close()

    def is_closing(self) -> bool:
        """Return whether nothing more is to be written."""
        return self._closing or self._transport.is_closing()

    def is_closed(self) -> bool:
        """Return whether nothing more is read either."""
        return self._transport.is_closing()

    def is_writing(self) -> bool:
        """Return whether bytes wait until the client reads."""
        return self._transport.get_write_buffer_size() > 0

    def end_writing(self) -> None:
        """Send the end of the stream to the client, and go on reading."""
        self._closing = True
        if not self._transport.is_closing() and self._transport.can_write_eof():
            self._transport.write_eof()


class RequestFlow(FlowControl):
    """Flow control that reads on only when no request waits for the answer to one before it."""

    def __init__(self, transport: asyncio.Transport, may_read: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._may_read = may_read

    def resume_reading(self) -> None:
        """Read on, unless a request waits: each read would add more of them."""
        if self.read_paused and self._may_read():
            super().resume_reading()
