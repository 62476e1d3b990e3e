"""A server with an orderly end: it stops being ready, then takes no new connections, then answers what it has."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from time import monotonic
from typing import cast

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from service.serving.configuration import Configuration, State
from service.serving.listening import Listeners
from service.telemetry.line_writer import standard_error

ON_DRAIN = "on_drain"
"""Key of the lifespan state: a callable that the server calls when it begins to drain."""

MIN_READY_DELAY_FRACTION = 1 / 10
"""Minimum part of the time to drain in which the service is not ready, but still takes requests."""

HANDSHAKE_FRACTION, MAX_HANDSHAKE_SECONDS = 1 / 40, 0.25
"""Part of the time to drain in which connections that have begun are accepted: longer than a round trip takes."""

IDLE_FRACTION, MAX_IDLE_SECONDS = 1 / 10, 1.0
"""Part of the time to drain that an open connection may be idle afterwards: a request may be on its way."""

CANCEL_FRACTION = 1 / 20
"""Part of the time to drain in which requests that take too long are cancelled and answered."""

POLL_SECONDS = 0.05

log = logging.getLogger("service.server")


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end the service in order; SIGHUP not under `nohup`, which has it ignored."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGINT, *((signal.SIGHUP,) if hangs_up else ()))


class Server(uvicorn.Server):
    """A server that SIGTERM, SIGHUP and SIGINT end in order, with exit code 0; SIGINT waits for no idle client."""

    def __init__(self, config: Configuration, listeners: Listeners) -> None:
        super().__init__(config)
        self.server_state: State = State()
        self._listeners = listeners
        self._drain_seconds = config.settings.drain_seconds
        self._ready_delay_seconds = max(
            config.settings.ready_delay_seconds, self._drain_seconds * MIN_READY_DELAY_FRACTION
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on the listeners until a signal ends the server."""
        super().run(sockets=list(self._listeners.sockets))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen; exit with STARTUP_FAILURE where another process listens already."""
        try:
            await super().startup(sockets)
        except OSError as error:
            log.critical("cannot listen on %s: %s", ", ".join(self._listeners.urls), error.strerror)
            await self.lifespan.shutdown()
            sys.exit(STARTUP_FAILURE)

    def ending_signals(self) -> tuple[signal.Signals, ...]:
        """Return the signals that end this server."""
        return ending_signals()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals while serving; unlike uvicorn's own, do not raise them again afterwards."""
        previous = {number: signal.signal(number, self.handle_exit) for number in self.ending_signals()}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop being ready, then taking connections, then answering, all within the time to drain."""
        begun = monotonic()
        until = begun + self._drain_seconds
        self._exit_after(self._drain_seconds)
        if ON_DRAIN in self.lifespan.state:
            cast("Callable[[], None]", self.lifespan.state[ON_DRAIN])()
        self.server_state.draining = True
        log.info("draining: not ready any more")
        await self._wait(begun + self._ready_delay_seconds, lambda: self._interrupted)
        await self._stop_listening()
        log.info("draining: no new connections, %d requests in flight", len(self.server_state.tasks))
        await self._finish(until - self._drain_seconds * CANCEL_FRACTION)
        if self.server_state.tasks:
            log.error("draining: %d requests are cut short", len(self.server_state.tasks))
            for task in self.server_state.tasks:
                task.cancel()
            await self._wait(until - POLL_SECONDS, lambda: self._idle or self.force_exit)
        if not self.force_exit:
            await self.lifespan.shutdown()

    @property
    def _interrupted(self) -> bool:
        return signal.SIGINT in self._captured_signals

    @property
    def _idle(self) -> bool:
        return not self.server_state.tasks and not self.server_state.connections

    def _exit_after(self, seconds: float) -> None:
        """End the process after `seconds`, even if a thread still computes: threads stop only between tiles."""

        def exit_now() -> None:
            standard_error().flush()
            os._exit(0)

        timer = threading.Timer(seconds, exit_now)
        timer.daemon = True
        timer.start()

    async def _stop_listening(self) -> None:
        """Close the listeners when everything that the kernel holds for them has been accepted."""
        self._listeners.refuse_new_connections()
        await asyncio.sleep(min(MAX_HANDSHAKE_SECONDS, self._drain_seconds * HANDSHAKE_FRACTION))
        for server in self.servers:
            server.close()
        self._listeners.close()

    async def _finish(self, until: float) -> None:
        """Wait until every request is answered and every connection closed; end those on which nothing arrives."""
        idle_until = monotonic() + min(MAX_IDLE_SECONDS, self._drain_seconds * IDLE_FRACTION)
        while monotonic() < until and not self._idle and not self.force_exit:
            if self._interrupted or monotonic() >= idle_until:
                for connection in list(self.server_state.connections):
                    connection.shutdown()
            await asyncio.sleep(POLL_SECONDS)

    async def _wait(self, until: float, enough: Callable[[], bool]) -> None:
        """Wait until a moment of the monotonic clock, or until `enough` returns true."""
        for _ in range(ceil(max(0.0, until - monotonic()) / POLL_SECONDS)):
            if enough() or monotonic() >= until:
                return
            await asyncio.sleep(POLL_SECONDS)
