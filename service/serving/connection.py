"""An HTTP connection with a time limit for every wait, and an end that lets the client read the last answer."""

import asyncio
import select
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from service.serving.closing import (
    DISCARD_DELAY_SECONDS,
    LINGER_SECONDS,
    MIN_DISCARDED_BYTES_PER_TIMEOUT,
    SMALL_BODY_BYTES,
    ClosableTransport,
    Discarding,
    RequestFlow,
)
from service.serving.cycle import RequestCycle
from service.serving.heads import Framing


class Connection(asyncio.Protocol):
    """One connection: its timers, and the discarding of request bytes before it goes on or ends.

    :param config: of uvicorn, which has loaded the application.
    :param server_state: what the connections of a server share.
    :param app_state: the lifespan state.
    :param read_timeout_seconds: time for a head to arrive, and for a client to read.
    :param max_body_bytes: largest body.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        *,
        read_timeout_seconds: float,
        max_body_bytes: int,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._app: ASGIApp = cast("ASGIApp", config.loaded_app)
        self._root_path = config.root_path
        self._keep_alive_seconds = config.timeout_keep_alive
        self._server_state, self._app_state = server_state, app_state
        self._read_timeout = read_timeout_seconds
        self._discarding = Discarding(max_body_bytes)
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        # When the last answer was complete, None from the first byte of the next request on.
        self._idle_since: float | None = None
        # The latest request, and the same once more while it waits for the answer to the one before it.
        self._cycle: RequestCycle | None = None
        self._waiting: RequestCycle | None = None
        # Of the latest request: whether its head is being read, whether its last byte has arrived, how it is framed.
        self._in_head, self._complete, self._framing = False, True, Framing()
        # Bytes that wait to be parsed, from index `_start` on: the requests before them are answered first, or the
        # end of a head has not arrived.
        self._input, self._start = b"", 0
        # The refusal that is written when all requests before it are answered; the connection ends with it.
        self._final_answer: bytes | None = None
        self._lingering = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Await a head."""
        self._server_state.connections.add(cast("Any", self))
        self.transport = ClosableTransport(transport, self._close)
        self.flow = RequestFlow(cast("asyncio.Transport", self.transport), self._may_read)
        self._server, self._client = get_local_addr(transport), get_remote_addr(transport)
        self._start_read_timer(self._read_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the connection and its timers."""
        self._server_state.connections.discard(cast("Any", self))
        self._stop_read_timer()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._input, self._start = b"", 0
        if self._cycle is not None:
            self._cycle.disconnect()
        self.flow.resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _close(self) -> None:
        """Close the connection for uvicorn: at once where it is idle, else when the client has read its answer.

        Bytes that a client has sent behind its last request would reset the connection otherwise (RFC 9112, 9.6).
        """
        idle = self._complete and (self._cycle is None or self._cycle.keep_alive)
        if idle and self._waiting is None and not self._input:
            self.transport.close_now()
        else:
            self._linger()

    def shutdown(self) -> None:
        """End the connection after the answer that is under way, or now when no request has begun to arrive."""
        if self._answering is not None:
            self._answering.keep_alive = False
        elif not self._lingering and not self._in_head and not self._has_unread_bytes():
            self._linger()

    def _has_unread_bytes(self) -> bool:
        """Return whether the kernel holds bytes that the client has sent: closing would reset the connection."""
        watched = select.poll()
        watched.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(watched.poll(0))

    def _start_discarding(self) -> None:
        """Discard the rest of a request that has been answered, and keep the connection."""
        self._idle_since = None
        self._discarding.start()
        self._start_read_timer(self._read_timeout)
        if not self._framing.is_small(SMALL_BODY_BYTES):
            self._read_later()

    def _stop_discarding(self) -> None:
        """Await the next request, after the last byte of a request that was answered before."""
        self._discarding.stop()
        self._stop_read_timer()
        if self._cycle is not None and not self._cycle.keep_alive:
            self.transport.close()
        else:
            self._start_idling()

    def _linger(self) -> None:
        """Write nothing more, and discard what still arrives until the client closes or a limit is exceeded."""
        self._lingering = True
        self._final_answer = None
        self._input, self._start = b"", 0
        self._waiting = None
        self._idle_since = None
        self.transport.end_writing()
        self._discarding.start()
        self._stop_read_timer()
        self._start_read_timer(LINGER_SECONDS)
        if self._discarding.exhausted or not (self._complete or self._framing.is_small(SMALL_BODY_BYTES)):
            self._read_later()
        else:
            self.flow.resume_reading()

    def _discard(self, size: int) -> None:
        if not self._discarding.add(size):
            self.transport.abort()

    def _read_later(self) -> None:
        self.flow.pause_reading()
        self.loop.call_later(DISCARD_DELAY_SECONDS, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closed() and not self._discarding.exhausted:
            self.flow.resume_reading()

    def _may_read(self) -> bool:
        """Return whether no request waits for the answer to the one before it, to be answered or refused then."""
        return self._waiting is None and self._final_answer is None

    @property
    def _answering(self) -> RequestCycle | None:
        """The latest request, unless its answer is complete."""
        return None if self._cycle is None or self._cycle.response_complete else self._cycle

    def _start_idling(self) -> None:
        """Await the next request; one timer serves all waits of a connection, since each takes 3 µs to set and stop."""
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self._keep_alive_seconds, self._on_idle_timeout)

    def _on_idle_timeout(self) -> None:
        self._idle_timer = None
        if self._idle_since is None:
            return
        left = self._idle_since + self._keep_alive_seconds - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._on_idle_timeout)
        else:
            self.transport.close()

    def _start_read_timer(self, seconds: float) -> None:
        if self._read_timer is None:
            self._read_timer = self.loop.call_later(seconds, self._on_read_timeout)

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _on_read_timeout(self) -> None:
        self._read_timer = None
        if self._lingering:
            if self._discarding.may_continue(1) or self.transport.is_writing():
                self._start_read_timer(LINGER_SECONDS)
            else:
                self.transport.abort()
        elif self.transport.is_closing():
            return
        elif self._in_head:
            if self.flow.read_paused:
                # The server keeps the client from sending.
                self._start_read_timer(self._read_timeout)
            else:
                self._refuse_slow_head()
        elif not self._answering:
            if not self._complete and self._discarding.may_continue(MIN_DISCARDED_BYTES_PER_TIMEOUT):
                self._start_read_timer(self._read_timeout)
            else:
                self.transport.close()

    def pause_writing(self) -> None:
        """Stop writing until the client has read, for at most the read timeout."""
        self.flow.pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self._read_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """Write again."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        self.flow.resume_writing()

    def _refuse_slow_head(self) -> None:
        """Answer a head that has not arrived in time."""
        raise NotImplementedError
