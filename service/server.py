"""uvicorn, with an end that operators can rely on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

import uvicorn
from uvicorn.supervisors import Multiprocess

from service.settings import Settings

KEEP_ALIVE_SECONDS = 75
"""Longer than the pools of common clients idle (up to 65 s), so that they never send into a closing connection."""


class Server(uvicorn.Server):
    """A server for which SIGTERM and SIGINT are an orderly end, exit code 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle both signals while serving; unlike uvicorn's own, do not raise them again afterwards."""
        previous = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def serve(settings: Settings) -> None:
    """Serve until told to stop."""
    config = uvicorn.Config(
        "service.main:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=ceil(settings.drain_seconds),
    )
    if settings.workers == 1:
        Server(config).run()
    else:
        Multiprocess(config, sockets=[config.bind_socket()]).run()
