"""Calls that take a while, as safetensors."""

import asyncio
import time
from dataclasses import dataclass

import httpx
import ml_dtypes
import numpy as np

from service.cluster.tasks import TASK
from tests.cluster.ground import RayCluster
from tests.processes import workers_of
from tests.server import Server
from tests.service.safetensors.stored import BOTH, saved

BFLOAT16 = ml_dtypes.bfloat16

REPORT_SECONDS = 5.0
"""Time in which processes report a task to the cluster, which they do every second, if there is one."""

END_SECONDS = 90.0
"""Longest that tasks may take to end, and processes to report it, on a machine with other things to do."""


@dataclass(frozen=True)
class Sizes:
    """Of a call of one batch row."""

    heads: int
    queries: int
    keys: int
    shared: int = 1
    """Query heads that share keys and values."""
    features: int = 64


MINUTES = Sizes(heads=1, queries=2_500_000, keys=2_500_000, features=1)
"""Each of its tasks takes minutes, and so longer than END_SECONDS: one that is not cancelled does not end in time."""

SOME = Sizes(heads=8, queries=700, keys=1500)
"""Takes a few hundredths of a second."""


def body(sizes: Sizes, seed: int = 0, dtype=np.float32, **options) -> bytes:
    """The file of a request for the output."""
    rng = np.random.default_rng(seed)
    kept = sizes.heads // sizes.shared, sizes.keys
    shapes = {"query": (sizes.heads, sizes.queries), "key": kept, "value": kept}
    tensors = {
        name: rng.standard_normal((1, *shape, sizes.features), dtype=np.float32).astype(dtype)
        for name, shape in shapes.items()
    }
    return saved(tensors, {"include": ["output"], **options})


async def post(client: httpx.AsyncClient, content: bytes, path: str = "/v1/attention", **headers) -> httpx.Response:
    """The answer to a request."""
    return await client.post(path, content=content, headers={**BOTH, **headers}, timeout=120)


class SubmittedTasks:
    """The tasks that a server has submitted since this was made.

    Processes report to the cluster when they have the time, which says nothing of when a task began or ended.
    """

    def __init__(self, cluster: RayCluster, server: Server) -> None:
        """Begin now; the server has one worker."""
        [self._driver] = workers_of(server.process.pid)
        self._cluster, self._since = cluster, time.time_ns()

    def counts(self) -> tuple[int, int]:
        """Return how many are known to the cluster, and how many of them have not ended."""
        known, going_on = self._cluster.ask("tasks", TASK, self._driver, self._since)
        return known, going_on

    async def are_known(self) -> bool:
        """Wait until one is known, or should be; return whether one is."""
        until = time.monotonic() + REPORT_SECONDS
        while time.monotonic() < until:
            if self.counts()[0]:
                return True
            await asyncio.sleep(0.1)
        return False

    async def count_left(self) -> int:
        """Wait until all have ended, or their ends should have been reported; return how many have not."""
        until = time.monotonic() + END_SECONDS
        while True:
            left = self.counts()[1]
            if not left or time.monotonic() > until:
                return left
            await asyncio.sleep(0.2)
