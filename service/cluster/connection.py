"""The connection of this process to a Ray cluster: made in the background, watched, and made anew when it is lost."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Protocol

from service.cluster.local import LOCAL, LocalRay, StartFailed
from service.cluster.running_calls import ShardMeter
from service.cluster.session import Session, accepts, unavailable
from service.cluster.sharding import Sharding
from service.settings import Settings

WATCH_SECONDS = 0.5
"""Time between two looks at whether the cluster still answers."""

CLOSE_SECONDS = 15.0
"""How long the service waits for the connection to end: Ray in place may take `local.STOP_SECONDS`."""

RECONNECT_SECONDS = 2.0
"""Time between two attempts to connect."""

DRIVER = {
    # Ray would end this process otherwise when its cluster is gone for a minute.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "1000000000",
    # Ray waits 2 s by itself until it interrupts a task again that was about to begin.
    "RAY_cancellation_retry_ms": "200",
    # Ray would start a cluster of its own for a call that comes after the connection was ended.
    "RAY_ENABLE_AUTO_CONNECT": "0",
}
"""Variables of Ray for this process, unless the environment has them."""

log = logging.getLogger("service.cluster")


class ClusterMeter(ShardMeter, Protocol):
    """Counts what the cluster did, for the metrics."""

    def cluster_retries(self, tasks: int) -> None:
        """Count tasks that were computed once more because a node failed, refused or stalled."""


class Cluster:
    """The cluster that the settings name."""

    def __init__(self, settings: Settings, meter: ClusterMeter) -> None:
        self.min_operations = settings.ray_min_operations
        """Predicted operations from which on a call runs on the cluster."""
        self.meter = meter
        self.sharding = Sharding(meter)
        self._address = settings.ray_address
        # `local` runs as many tasks as this process has threads, and keeps what its requests may hold, twice: on its
        # way to a task and back.
        self._cpus, self._store_bytes = settings.compute_threads, 2 * settings.bytes_in_flight
        self._session: Session | None = None
        self._reason = "it is connecting"
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._stay_connected, name="cluster", daemon=True)
        self._on_connected: Callable[[], object] = lambda: None
        self._local: LocalRay | None = None

    def start(self, on_connected: Callable[[], object]) -> None:
        """Connect in the background, and again whenever the connection is lost.

        :param on_connected: called in another thread after each connection.
        """
        self._on_connected = on_connected
        self._thread.start()

    def close(self) -> None:
        """Disconnect; and end Ray if this process has started it.

        A connection that is just being made is not waited for: Ray offers no end of it, and ends with the process.
        """
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    @property
    def is_connected(self) -> bool:
        """Whether the cluster answers."""
        return self._session is not None

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Return the connection, which stays open until the context ends; raises ClusterUnavailable without one."""
        session = self._session
        if session is None:
            raise unavailable(self._reason)
        with session.used():
            session.check(None)
            yield session

    def _stay_connected(self) -> None:
        while not self._closing.is_set():
            try:
                self._session = session = self._connect()
            # Whatever Ray raises, such as a missing token, a version that differs, or no node on this machine.
            except Exception as error:  # noqa: BLE001
                self._report(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
                self._closing.wait(RECONNECT_SECONDS)
                continue
            log.info("connected to a Ray cluster with %s nodes and %s CPUs", session.nodes, session.cpus)
            self._on_connected()
            self._watch(session)
            self._session = None
            session.end()
        if self._local is not None:
            self._local.close()

    def _report(self, reason: str) -> None:
        """Log once why there is no connection."""
        if reason != self._reason:
            log.error("cannot connect to the Ray cluster at %s: %s", self._address, reason)
        self._reason = reason

    def _lose(self, reason: str) -> None:
        """Log that the connection is lost, each time that it is."""
        log.error("lost the Ray cluster at %s: %s", self._address, reason)
        self._reason = reason

    def _connect(self) -> Session:
        for name, value in DRIVER.items():
            os.environ.setdefault(name, value)
        address = self._address
        if address == LOCAL:
            if self._local is None or not self._local.runs:
                self._local = LocalRay.start(self._cpus, self._store_bytes, self._closing)
            address = self._local.address
        elif address != "auto" and not accepts(address):
            raise StartFailed("nothing accepts connections there")
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        import ray  # noqa: PLC0415 — an extra

        ray.init(address=address, log_to_driver=False, configure_logging=False, logging_level=logging.CRITICAL)
        return Session(ray)

    def _watch(self, session: Session) -> None:
        """Return when the cluster no longer answers, or the service ends."""
        measured = time.monotonic()
        while not self._closing.wait(WATCH_SECONDS):
            if not session.answers():
                self._lose("it no longer answers")
                return
            try:
                session.cancel_again()
                if time.monotonic() > measured + RECONNECT_SECONDS:
                    measured = time.monotonic()
                    session.measure()
            # Whatever Ray raises while its cluster ends.
            except Exception as error:  # noqa: BLE001
                self._lose(f"it no longer answers: {type(error).__name__}")
                return


def why_missing(settings: Settings) -> str | None:
    """Return why a cluster that the settings name cannot be used here; None if it can, or if they name none.

    Whether the cluster answers does not matter yet.

    :param settings: of the service.
    """
    if settings.ray_address and find_spec("ray") is None:
        return "expected the extra ray to be installed: pip install 'attention-service[ray]'"
    return None
