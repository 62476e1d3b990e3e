"""Several worker processes behind one socket: each is replaced when it dies, all of them end in order."""

import logging
import os
import signal
import sys
import threading
import time
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from socket import socket
from types import FrameType

from uvicorn.config import STARTUP_FAILURE

from service.serving.draining import Server
from service.serving.protocol import Configuration

INTERVAL_SECONDS = 0.2
"""How long a signal may go unnoticed."""

PATIENCE_SECONDS = 5.0
"""Longer than its own time to drain that a worker may take to end, before it is killed."""

log = logging.getLogger("service.server")


class WorkerServer(Server):
    """A server whose end its parent decides: Ctrl-C reaches every process of a terminal."""

    signals = (signal.SIGTERM,)


def work(config: Configuration, listener: socket) -> None:
    """Serve in a worker process; one that cannot begin to says so by its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config.configure_logging()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server = WorkerServer(config)
    try:
        server.run(sockets=[listener])
    except Exception:
        if server.started:
            raise
        log.exception("a worker could not start")
        sys.exit(STARTUP_FAILURE)


def _end_with_parent() -> None:
    """A worker whose parent is gone, however that was, would hold the port for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


class Supervisor:
    """Starts workers, watches over them, and ends them."""

    def __init__(self, config: Configuration, drain_seconds: float) -> None:
        self._config = config
        self._drain_seconds = drain_seconds
        self._listener = config.bind_socket()
        self._signals: list[int] = []

    def run(self) -> int:
        """Serve until told to stop; return the exit code, which is that of a worker that could not start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        workers = [self._started() for _ in range(self._config.workers)]
        code = 0
        while not self._signals and not code:
            connection.wait([worker.sentinel for worker in workers], timeout=INTERVAL_SECONDS)
            code = self._replace_dead(workers)
        # Whoever still connects is refused as soon as the last worker has closed its own.
        self._listener.close()
        self._end(workers)
        return code

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _started(self) -> BaseProcess:
        worker = get_context("spawn").Process(target=work, args=(self._config, self._listener))
        worker.start()
        return worker

    def _replace_dead(self, workers: list[BaseProcess]) -> int:
        """Start another worker for each that has died; return an exit code where that would be of no use."""
        for place, worker in enumerate(workers):
            if worker.exitcode is None or self._signals:
                continue
            if worker.exitcode == STARTUP_FAILURE:
                log.error("worker %s could not start, and no other could: stopping", worker.pid)
                return STARTUP_FAILURE
            log.error("worker %s died with exit code %s and is replaced", worker.pid, worker.exitcode)
            workers[place] = self._started()
        return 0

    def _end(self, workers: list[BaseProcess]) -> None:
        """Let workers finish what they have begun, and kill those that do not; so does a second Ctrl-C."""
        for worker in workers:
            worker.terminate()
        until = time.monotonic() + self._drain_seconds + PATIENCE_SECONDS
        while any(worker.exitcode is None for worker in workers):
            waiting = [worker.sentinel for worker in workers if worker.exitcode is None]
            connection.wait(waiting, timeout=INTERVAL_SECONDS)
            if time.monotonic() > until or self._signals.count(signal.SIGINT) > 1:
                for worker in workers:
                    worker.kill()
