"""Memories whose keys are spread over the cluster answer as those of one process do, to the bit."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.cluster.ground import PYTHON, RayCluster
from tests.sampling import sample
from tests.server import Server, log_lines, running_server
from tests.service.safetensors.stored import SEND, saved

MEMORIES = "/v1/memories"
SPAN = 2048
KEYS, HEADS, FEATURES = 3 * SPAN + 100, 2, 8
START_SECONDS = 60

QUERY = np.random.default_rng(1).standard_normal((1, 4, 3, FEATURES)).tolist()
WIDE_QUERY = np.random.default_rng(2).standard_normal((1, 4, 300, FEATURES)).tolist()

CALLS: dict[str, dict[str, Any]] = {
    "softmax": {"include": ["output", "logsumexp"]},
    "temperature and sink": {"normalizer": {"name": "softmax", "temperature": 0.5, "sink": 1.5}},
    "sigmoid": {"normalizer": {"name": "sigmoid"}, "include": ["output"]},
    "relu": {"normalizer": {"name": "relu"}, "include": ["output"]},
    "none": {"normalizer": {"name": "none"}, "include": ["output"]},
    "matrices": {"include": ["output", "scores", "logits", "weights"], "mask": {"causal": True, "offset": 5000}},
    "ranking": {"include": ["ranking", "output"], "top_k": 5},
    "diagnostics": {"include": ["diagnostics"]},
    "window": {"mask": {"window": {"left": 900, "right": 0}, "offset": SPAN + 7}, "include": ["output"]},
    "alibi": {"position": {"name": "alibi"}, "mask": {"offset": KEYS - 3}, "include": ["output"]},
    "gaussian": {"score_model": {"name": "gaussian"}, "include": ["output"]},
    "additive": {
        "score_model": {
            "name": "additive",
            "query_weight": np.random.default_rng(3).standard_normal((5, FEATURES)).tolist(),
            "key_weight": np.random.default_rng(4).standard_normal((5, FEATURES)).tolist(),
            "score_vector": np.random.default_rng(5).standard_normal(5).tolist(),
        },
        "include": ["output"],
    },
    "many rows": {"query": WIDE_QUERY, "include": ["output", "logsumexp"]},
}
"""Requests without their memory that shards compute."""

LEFT: dict[str, dict[str, Any]] = {
    "sparsemax": {"normalizer": {"name": "sparsemax"}, "include": ["output"]},
    "rotary": {"position": {"name": "rotary"}, "include": ["output"]},
    "mean weights": {"include": ["mean_weights"]},
}
"""Requests that the service computes itself."""


@pytest.fixture(scope="module")
def server(ray_cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose memories the nodes find."""
    directory: Path = tmp_path_factory.mktemp("sharded")
    settings = {"RAY_ADDRESS": ray_cluster.address, "MEMORIES_DIRECTORY": str(directory / "memories")}
    with running_server(directory, python=PYTHON, base=ray_cluster.environment, **settings) as server:
        log_lines(server, "connected to a Ray cluster")
        yield server


@pytest.fixture
async def client(ray_cluster: RayCluster, server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that server, while no test changes the nodes."""
    with ray_cluster.shared():
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            yield client


async def put(client: httpx.AsyncClient, name: str, shards: int, dtype: str = "float32", keys: int = KEYS) -> None:
    """Put a memory of drawn numbers."""
    rng = np.random.default_rng(7)
    tensors = {part: rng.standard_normal((1, HEADS, keys, FEATURES)).astype(dtype) for part in ("key", "value")}
    body = saved(tensors, {"shards": shards})
    answer = await client.put(f"{MEMORIES}/{name}", content=body, headers=SEND)
    assert answer.status_code == 201, answer.text
    assert answer.json()["shards"] == shards


async def ask(client: httpx.AsyncClient, name: str, request: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of a memory, without what names it."""
    answer = await client.post("/v1/attention", json={"query": QUERY, **request, "memory": name})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    del document["memory"]
    return document


async def counted(client: httpx.AsyncClient, family: str) -> float:
    """Return the value of a metric."""
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(family))


BY_SHARDS = 'attention_shard_calls_total{computed_by="shards"}'


async def wait_for_shards(client: httpx.AsyncClient, name: str) -> None:
    """Ask until the shards of a memory have started and answer."""
    until = time.monotonic() + START_SECONDS
    before = await counted(client, BY_SHARDS)
    while await counted(client, BY_SHARDS) == before:
        assert time.monotonic() < until, "the shards did not start"
        await ask(client, name, CALLS["softmax"])
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("dtype", sample(["float32", "float64", "float16"], "float32"))
async def test_shards_have_the_bits_of_one_process(client: httpx.AsyncClient, dtype: str) -> None:
    await put(client, f"whole-{dtype}", 1, dtype)
    await put(client, f"spread-{dtype}", 3, dtype)
    await wait_for_shards(client, f"spread-{dtype}")
    for case, request in CALLS.items():
        before = await counted(client, BY_SHARDS)
        assert await ask(client, f"spread-{dtype}", request) == await ask(client, f"whole-{dtype}", request), case
        assert await counted(client, BY_SHARDS) == before + 1, case
    for case, request in LEFT.items():
        assert await ask(client, f"spread-{dtype}", request) == await ask(client, f"whole-{dtype}", request), case
