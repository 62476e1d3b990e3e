"""A Ray cluster of nodes with one CPU each, all in this machine, and this process as a front of it."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from attention_core import AttentionResult, evaluate, predict
from attention_core.call import ResolvedCall
from attention_core.native.library import address_of
from service.cluster.connection import Cluster
from service.cluster.large_calls import LargeCall
from service.cluster.local import HEALTH_CHECKS, START
from service.cluster.session import Session
from service.settings import Settings

NODE = {"num_cpus": 1, "object_store_memory": 1 << 30}
"""Arguments of each node."""

CONNECT_SECONDS = 60


def prepare_environment() -> None:
    """Give this process and all that it starts a token, and a kernel thread to each node."""
    os.environ.update(HEALTH_CHECKS | START)
    os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
    os.environ["OPENBLAS_NUM_THREADS"] = "1"


@contextmanager
def running_nodes() -> Iterator["Nodes"]:
    """Run a cluster of one node, to which others can be added, until the end of the block."""
    from ray.cluster_utils import Cluster as RayCluster  # noqa: PLC0415 — an extra, and it reads the environment

    cluster = RayCluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        yield Nodes(cluster)
    finally:
        cluster.shutdown()


class Nodes:
    """The nodes."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.address: str = cluster.address
        """To which fronts connect."""

    def add(self) -> None:
        """Add a node."""
        self._cluster.add_node(**NODE)


@dataclass
class Meter:
    """Keeps what a front counts."""

    retries: int = 0
    received: int = 0
    tasks: int = 0

    def cluster_call(self, tasks: int, sent_bytes: int, received_bytes: int, seconds: float) -> None:
        """Keep what the last call was."""
        self.tasks, self.received = tasks, received_bytes

    def cluster_retries(self, tasks: int) -> None:
        """Count tasks that a node has not computed."""
        self.retries += tasks

    def shard_call(self, *, by_shards: bool) -> None:
        """Ignore it."""

    def shards_lost(self) -> None:
        """Ignore it."""


@dataclass
class Objects:
    """The module of Ray, for a session that puts some arrays into the object store once only."""

    ray: Any
    ranges: list[tuple[int, int]]
    """Addresses of the arrays, and those behind their last bytes."""
    kept: dict[tuple[int, int], Any] = field(default_factory=dict)
    """References by address and size."""

    def __getattr__(self, name: str) -> Any:
        """Return what Ray has under a name."""
        return getattr(self.ray, name)

    def put(self, value: Any) -> Any:
        """Put a region of memory, unless it is of those arrays and has been put before."""
        begin = address_of(value)
        if not any(first <= begin < end for first, end in self.ranges):
            return self.ray.put(value)
        key = begin, value.nbytes
        if key not in self.kept:
            self.kept[key] = self.ray.put(value)
        return self.kept[key]


class Front:
    """The connection of this process, made as the service makes it."""

    def __init__(self, address: str) -> None:
        self.meter = Meter()
        connected = Event()
        self._cluster = Cluster(Settings(ray_address=address), self.meter)
        self._cluster.start(connected.set)
        if not connected.wait(CONNECT_SECONDS):
            raise RuntimeError("there is no connection to the nodes")

    def close(self) -> None:
        """Disconnect."""
        self._cluster.close()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Return the connection, which knows how many nodes there are."""
        with self._cluster.session() as session:
            session.measure()
            yield session

    @contextmanager
    def keeping(self, *arrays: Any) -> Iterator[None]:
        """Keep arrays in the object store until the end of the block."""
        with self._cluster.session() as session:
            ray = session.ray
            begins = [address_of(array) for array in arrays]
            ranges = [(begin, begin + array.nbytes) for begin, array in zip(begins, arrays, strict=True)]
            session.ray = Objects(ray, ranges)
            try:
                yield
            finally:
                session.ray = ray

    def evaluate(self, call: ResolvedCall, operations: int | None = None) -> AttentionResult:
        """Compute a call on the nodes; `operations` decide on the number of parts, by default those predicted."""
        large = LargeCall(self._cluster, predict(call).operations if operations is None else operations)
        return evaluate(call, evaluate_kernel=large)

    def seconds(self, call: ResolvedCall, operations: int | None = None) -> float:
        """Return how long a call takes; raises RuntimeError if a node has not computed its part."""
        started = time.perf_counter()
        self.evaluate(call, operations)
        elapsed = time.perf_counter() - started
        if self.meter.retries:
            raise RuntimeError(f"{self.meter.retries} parts were not computed by a node")
        return elapsed
