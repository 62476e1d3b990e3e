"""What `attention-service serve` runs: one server, or several behind one socket."""

import os
from tempfile import TemporaryDirectory

from service.serving.draining import Server
from service.serving.protocol import Configuration, Protocol
from service.serving.supervisor import Supervisor
from service.settings import Settings
from service.telemetry.logs import configure

KEEP_ALIVE_SECONDS = 75
"""Longer than the pools of common clients idle (up to 65 s), so that they never send into a closing connection."""


def serve(settings: Settings) -> int:
    """Serve until told to stop; return the exit code."""
    configure(settings.log_level, settings.log_format)
    config = Configuration(
        settings,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        http=Protocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    if settings.workers == 1:
        Server(config).run()
        return 0
    with TemporaryDirectory(prefix="attention-service-") as pages:
        # Worker processes read the environment, so this is how it reaches them all.
        os.environ.setdefault("ATTENTION_METRICS_DIRECTORY", pages)
        return Supervisor(config, settings.drain_seconds).run()
