"""A server with an orderly end: first it says that it is going, then it takes nothing new, then it finishes."""

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from time import monotonic
from typing import ClassVar, cast

import uvicorn

from service.serving.protocol import Configuration, State

LEAVE = "leave"
"""Under this name the application tells, when it starts, what to call as soon as it has to stop."""

GRACE_SHARE = 10
"""This part of the time to drain is for others to notice that the service is not ready; it still takes requests."""

LAST_WORDS_SHARE = 20
"""This part of it is left to tell those whose requests are cut short."""

STEP_SECONDS = 0.05

log = logging.getLogger("service.server")


class Server(uvicorn.Server):
    """A server for which SIGTERM and SIGINT are an orderly end, exit code 0; SIGINT is that of a person who waits."""

    signals: ClassVar[tuple[signal.Signals, ...]] = (signal.SIGTERM, signal.SIGINT)

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.server_state: State = State()
        self._drain_seconds = config.drain_seconds

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals while serving; unlike uvicorn's own, do not raise them again afterwards."""
        previous = {number: signal.signal(number, self.handle_exit) for number in self.signals}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop being ready, then taking connections, then answering; never later than the time to drain allows."""
        until = monotonic() + self._drain_seconds
        # A thread cannot be stopped between tiles; whatever it is at, the process ends in time.
        watch = threading.Timer(self._drain_seconds, os._exit, (0,))
        watch.daemon = True
        watch.start()
        if LEAVE in self.lifespan.state:
            cast("Callable[[], None]", self.lifespan.state[LEAVE])()
        self.server_state.draining = True
        log.info("draining: not ready any more")
        await self._wait(until - self._drain_seconds * (1 - 1 / GRACE_SHARE), lambda: self._hurried)
        self._stop_listening(sockets or [])
        log.info("draining: no new connections, %d requests in flight", len(self.server_state.tasks))
        await self._wait(until - self._drain_seconds / LAST_WORDS_SHARE, lambda: self._idle or self.force_exit)
        if self.server_state.tasks:
            log.error("draining: %d requests are cut short", len(self.server_state.tasks))
            for task in self.server_state.tasks:
                task.cancel()
            await self._wait(until - STEP_SECONDS, lambda: self._idle or self.force_exit)
        if not self.force_exit:
            await self.lifespan.shutdown()

    @property
    def _hurried(self) -> bool:
        return signal.SIGINT in self._captured_signals

    @property
    def _idle(self) -> bool:
        return not self.server_state.tasks and not self.server_state.connections

    def _stop_listening(self, sockets: list[socket.socket]) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()

    async def _wait(self, until: float, enough: Callable[[], bool]) -> None:
        for _ in range(ceil(max(0.0, until - monotonic()) / STEP_SECONDS)):
            if enough() or monotonic() >= until:
                return
            await asyncio.sleep(STEP_SECONDS)
