"""Several worker processes behind one socket: each is replaced when it dies, and all end in order."""

import logging
import os
import signal
import sys
import threading
import time
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from types import FrameType

from uvicorn.config import STARTUP_FAILURE

from service.serving.configuration import Configuration
from service.serving.draining import Server, ending_signals
from service.serving.listening import Listeners
from service.telemetry import logs

POLL_SECONDS = 0.2
"""Maximum delay between a signal and its effect."""

KILL_DELAY_SECONDS = 5.0
"""Time beyond the time to drain after which a worker that has not ended is killed."""

log = logging.getLogger("service.server")


class WorkerServer(Server):
    """A server that only its parent ends: Ctrl-C and the end of a terminal reach every process."""

    def ending_signals(self) -> tuple[signal.Signals, ...]:
        """Return the signal of the parent."""
        return (signal.SIGTERM,)


def run_worker(config: Configuration, listeners: Listeners) -> None:
    """Serve in a worker process; exit with STARTUP_FAILURE if the server does not start."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with logs.written(config.settings.log_level, config.settings.log_format):
        threading.Thread(target=_end_with_parent, daemon=True).start()
        server = WorkerServer(config, listeners)
        try:
            server.run()
        except Exception:
            if server.started:
                raise
            log.exception("a worker could not start")
            sys.exit(STARTUP_FAILURE)


def _end_with_parent() -> None:
    """End the worker in order when its parent has ended: it would hold the port otherwise."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


class Supervisor:
    """Starts workers, replaces those that die, and ends them."""

    def __init__(self, config: Configuration, listeners: Listeners) -> None:
        self._config = config
        self._listeners = listeners
        self._signals: list[int] = []

    def run(self) -> int:
        """Serve until a signal ends the service; return 0, or the exit code of a worker that did not start."""
        for number in ending_signals():
            signal.signal(number, self._record_signal)
        workers = [self._start_worker() for _ in range(self._config.workers)]
        code = 0
        while not self._signals and not code:
            connection.wait([worker.sentinel for worker in workers], timeout=POLL_SECONDS)
            code = self._replace_dead(workers)
        # New connections are refused as soon as the last worker has closed its own.
        self._listeners.close()
        self._end_workers(workers)
        return code

    def _record_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _start_worker(self) -> BaseProcess:
        worker = get_context("spawn").Process(target=run_worker, args=(self._config, self._listeners))
        worker.start()
        return worker

    def _replace_dead(self, workers: list[BaseProcess]) -> int:
        """Replace each worker that has died; return STARTUP_FAILURE if one did not start, as no other would, or 0."""
        for index, worker in enumerate(workers):
            if worker.exitcode is None or self._signals:
                continue
            if worker.exitcode == STARTUP_FAILURE:
                log.error("worker %s could not start, and no other could: stopping", worker.pid)
                return STARTUP_FAILURE
            log.error("worker %s died with exit code %s and is replaced", worker.pid, worker.exitcode)
            workers[index] = self._start_worker()
        return 0

    def _end_workers(self, workers: list[BaseProcess]) -> None:
        """End workers in order; kill those that take too long, or all at a second Ctrl-C."""
        for worker in workers:
            worker.terminate()
        until = time.monotonic() + self._config.settings.drain_seconds + KILL_DELAY_SECONDS
        while any(worker.exitcode is None for worker in workers):
            waiting = [worker.sentinel for worker in workers if worker.exitcode is None]
            connection.wait(waiting, timeout=POLL_SECONDS)
            if time.monotonic() > until or self._signals.count(signal.SIGINT) > 1:
                for worker in workers:
                    worker.kill()
