"""One connection to a Ray cluster: its size, waits, cancellations, and its end."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from attention_core.errors import Stopped
from attention_core.interfaces import ShouldStop
from service.errors import ClusterUnavailable

PROBE_SECONDS = 1.0
"""Longest that the cluster may take to accept a connection."""

POLL_SECONDS = 0.02
"""Time between two looks at whether a request that waits for the cluster is to stop."""

CANCEL_SECONDS = 60.0
"""Time for which a task that has not ended is cancelled again, at each look at the cluster."""

LEAVE_SECONDS = 10.0
"""Longest that requests may take to notice that the connection is lost."""

RETRY_SECONDS = 5.0
"""What clients are told to wait when there is no cluster: about as long as a lost one takes to be connected again."""


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
        self.cpu_nodes: list[str] = []
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
        self.cpu_nodes = [node for node in order for _ in range(cpus[node])]
        self.cpus, self.nodes = max(1, len(self.cpu_nodes)), max(1, len(nodes))

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

        :param node: one of `cpu_nodes`.
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
