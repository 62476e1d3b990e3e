"""Calls that take a while, as safetensors."""

import asyncio
from dataclasses import dataclass

import httpx
import ml_dtypes
import numpy as np

from service.cluster.tasks import TASK
from tests.cluster.ground import RayCluster
from tests.service.safetensors.stored import BOTH, saved

BFLOAT16 = ml_dtypes.bfloat16

REPORT_SECONDS = 5.0
"""Longest that nodes may take to report the end of a task, which they do every second."""


@dataclass(frozen=True)
class Sizes:
    """Of a call of one batch row."""

    heads: int
    queries: int
    keys: int
    shared: int = 1
    """Query heads that share keys and values."""
    features: int = 64


SECONDS = Sizes(heads=32, queries=3500, keys=16384, shared=32)
"""Takes several seconds on three CPUs that have other work to do."""

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


async def tasks_left(cluster: RayCluster) -> int:
    """Wait until no task has not ended, or a node should have said so; return their number."""
    for _ in range(int(REPORT_SECONDS / 0.2)):
        left = cluster.ask("tasks", TASK)
        if not left:
            return 0
        await asyncio.sleep(0.2)
    return left


async def tasks_begin(cluster: RayCluster) -> None:
    """Wait until a node has reported a task."""
    while not cluster.ask("tasks", TASK):  # noqa: ASYNC110 — only asking tells
        await asyncio.sleep(0.1)
