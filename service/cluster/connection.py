"""The connection of this process to a Ray cluster: made in the background, watched, and made anew when it is lost."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any, Protocol

from attention_core.errors import Stopped
from attention_core.interfaces import ShouldStop
from service.cluster.local import LOCAL, LocalRay, StartFailed
from service.cluster.running_calls import ShardMeter
from service.cluster.sharding import Sharding
from service.errors import ClusterUnavailable
from service.settings import Settings

WATCH_SECONDS = 0.5
"""Time between two looks at whether the cluster still answers."""

PROBE_SECONDS = 1.0
"""Longest that the cluster may take to accept a connection."""

RECONNECT_SECONDS = 2.0
"""Time between two attempts to connect."""

POLL_SECONDS = 0.02
"""Time between two looks at whether a request that waits for the cluster is to stop."""

CANCEL_SECONDS = 60.0
"""Time for which a task that has not ended is cancelled again, at each look at the cluster."""

LEAVE_SECONDS = 10.0
"""Longest that requests may take to notice that the connection is lost."""

RETRY_SECONDS = 5.0
"""What clients are told to wait when there is no cluster: about as long as a lost one takes to be connected again."""

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


class Session:
    """One connection to a cluster, which ends when the cluster no longer answers."""

    def __init__(self, ray: Any) -> None:
        self.ray = ray
        """The module."""
        self.address: str = ray.get_runtime_context().gcs_address
        self.lost = threading.Event()
        """Set once the cluster no longer answers."""
        self.cpus = 1
        """Tasks that the nodes run at a time."""
        self.nodes = 1
        self.places: list[str] = []
        """Ids of nodes, each as often as it has CPUs."""
        self._remote: dict[Callable[..., Any], Any] = {}
        self._users = 0
        self._changed = threading.Condition()
        self._cancelled: dict[Any, float] = {}
        self._cancelling = threading.Lock()
        self.measure()

    def measure(self) -> None:
        """Ask how large the cluster is now."""
        nodes = [node for node in self.ray.nodes() if node["Alive"]]
        own = self.ray.get_runtime_context().get_node_id()
        # The node of this process comes last: it has what parts read, and the others must fetch it.
        cpus = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in nodes}
        order = sorted(cpus, key=lambda node: node == own)
        self.places = [node for node in order for _ in range(cpus[node])]
        self.cpus, self.nodes = max(1, len(self.places)), max(1, len(nodes))

    def answers(self) -> bool:
        """Return whether the head of the cluster accepts connections."""
        return accepts(self.address)

    def remote(self, function: Callable[..., Any]) -> Any:
        """Return a function as Ray runs it.

        It is made once: Ray sends each one that it makes to every node, and keeps it (benchmarks/RESULTS.md, "Calls on
        a Ray cluster", designs).
        """
        if function not in self._remote:
            self._remote[function] = self.ray.remote(function)
        return self._remote[function]

    def prefer(self, node: str) -> Any:
        """Return a strategy that gives a task to a node, or to another if that one is gone or has no CPU left.

        Ray's own SPREAD often gives two of a few tasks to one node (benchmarks/RESULTS.md, "Calls on a Ray cluster").

        :param node: one of `places`.
        """
        strategies = self.ray.util.scheduling_strategies
        return strategies.NodeAffinitySchedulingStrategy(node, soft=True, _spill_on_unavailable=True)

    def wait(self, references: Sequence[Any]) -> list[Any]:
        """Return those of some references whose tasks have ended, in whatever way, at the latest after 20 ms.

        :param references: of tasks, or calls of actors; their results are fetched to this node.
        """
        done, _ = self.ray.wait(references, num_returns=len(references), timeout=POLL_SECONDS, fetch_local=True)
        return list(done)

    def check(self, should_stop: ShouldStop | None) -> None:
        """Raise Stopped if a request is to stop, or ClusterUnavailable if the cluster no longer answers."""
        if should_stop is not None and should_stop():
            raise Stopped("stopped while the cluster computed")
        if self.lost.is_set():
            raise unavailable("it no longer answers")

    def cancel(self, references: Sequence[Any]) -> None:
        """Cancel tasks that have not ended; does nothing once the connection is lost.

        Ray drops a cancellation that reaches a process before its task does, and one whose interrupt some code of
        Python has swallowed: `cancel_again` has to follow.
        """
        if self.lost.is_set():
            return
        until = time.monotonic() + CANCEL_SECONDS
        with self._cancelling:
            self._cancelled.update(dict.fromkeys(references, until))
        for reference in references:
            # Actors and nodes may be gone.
            with suppress(Exception):
                self.ray.cancel(reference)

    def cancel_again(self) -> None:
        """Cancel once more the tasks that go on after they were cancelled, and forget those that have ended."""
        with self._cancelling:
            tasks = list(self._cancelled)
        if not tasks:
            return
        _, left = self.ray.wait(tasks, num_returns=len(tasks), timeout=0, fetch_local=False)
        now = time.monotonic()
        with self._cancelling:
            going_on = {task: until for task in left if (until := self._cancelled[task]) > now}
            for task in tasks:
                if task not in going_on:
                    del self._cancelled[task]
        for task in going_on:
            with suppress(Exception):
                self.ray.cancel(task)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep the connection open until the context ends."""
        with self._changed:
            self._users += 1
        try:
            yield
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    def end(self) -> None:
        """Disconnect, once no request uses the connection."""
        self.lost.set()
        with self._changed:
            self._changed.wait_for(lambda: not self._users, LEAVE_SECONDS)
        self.ray.shutdown()


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
        """Disconnect; and end Ray if this process has started it."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

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

    def _connect(self) -> Session:
        for name, value in DRIVER.items():
            os.environ.setdefault(name, value)
        address = self._address
        if address == LOCAL:
            if self._local is None or not self._local.runs:
                self._local = LocalRay.start(self._cpus, self._store_bytes)
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
                self._report("it no longer answers")
                return
            try:
                session.cancel_again()
                if time.monotonic() > measured + RECONNECT_SECONDS:
                    measured = time.monotonic()
                    session.measure()
            # Whatever Ray raises while its cluster ends.
            except Exception as error:  # noqa: BLE001
                self._report(f"it no longer answers: {type(error).__name__}")
                return


def why_missing(settings: Settings) -> str | None:
    """Return why a cluster that the settings name cannot be used here; None if it can, or if they name none.

    Whether the cluster answers does not matter yet.

    :param settings: of the service.
    """
    if settings.ray_address and find_spec("ray") is None:
        return "expected the extra ray to be installed: pip install 'attention-service[ray]'"
    return None


def accepts(address: str) -> bool:
    """Return whether something accepts connections at a host and port."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def unavailable(reason: str) -> ClusterUnavailable:
    """Return the error of a request that needs the cluster while there is none."""
    return ClusterUnavailable(
        f"expected the Ray cluster to answer; received nothing: {reason}. Try again, or send less at once, which is "
        "computed without it.",
        RETRY_SECONDS,
    )
