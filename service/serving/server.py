"""The command `attention-service serve`: one server process, or several behind one socket."""

import logging
import os
import threading
from collections.abc import Iterable
from tempfile import TemporaryDirectory

from uvicorn.config import STARTUP_FAILURE

from service.cluster.local import LOCAL, LocalRay, StartFailed
from service.environment import our_variable
from service.serving.configuration import Configuration
from service.serving.draining import Server
from service.serving.listening import BACKLOG, CannotListen, Listeners, bind
from service.serving.protocol import Protocol
from service.serving.supervisor import Supervisor
from service.settings import Settings
from service.telemetry import logs

KEEP_ALIVE_SECONDS = 75
"""Longer than the pools of common clients idle (up to 65 s), so that they never send into a closing connection."""

log = logging.getLogger("service.server")


def serve(settings: Settings, warnings: Iterable[str] = ()) -> int:
    """Log the warnings, and serve until a signal ends the service.

    Returns the exit code, which is STARTUP_FAILURE where no socket can be bound.
    """
    with logs.written(settings.log_level, settings.log_format):
        for warning in warnings:
            log.warning("%s", warning)
        try:
            listeners = bind(settings.host, settings.port, settings.uds)
        except CannotListen as error:
            log.critical("%s", error)
            return STARTUP_FAILURE
        try:
            log.info("starting on %s (press Ctrl-C to stop)", ", ".join(listeners.urls))
            return _serve_on(listeners, settings)
        finally:
            listeners.close()
            listeners.remove_file()


def _serve_on(listeners: Listeners, settings: Settings) -> int:
    config = Configuration(
        settings,
        workers=settings.workers,
        http=Protocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    # Ray ends a process whose node on this machine has died: a supervisor starts another in its place.
    if settings.workers == 1 and not settings.ray_address:
        Server(config, listeners).run()
        return 0
    with TemporaryDirectory(prefix="attention-service-") as directory:
        # Worker processes read the environment.
        if not settings.metrics_directory:
            os.environ[our_variable("metrics_directory")] = directory
        if settings.ray_address != LOCAL or settings.workers == 1:
            return Supervisor(config, listeners).run()
        try:
            store_bytes = 2 * settings.workers * settings.bytes_in_flight
            ray = LocalRay.start(settings.compute_threads, store_bytes, threading.Event())
        except StartFailed as error:
            log.critical("Ray did not start: %s", error)
            return STARTUP_FAILURE
        # One cluster for all workers.
        os.environ[our_variable("ray_address")] = ray.address
        try:
            return Supervisor(config, listeners).run()
        finally:
            ray.close()
