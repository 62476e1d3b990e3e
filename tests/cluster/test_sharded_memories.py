"""Memories whose keys are spread over the cluster answer as those of one process do, to the bit."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.cluster.ground import RayCluster
from tests.processes import cpu_seconds, workers_of
from tests.sampling import sample
from tests.server import Server, running_server
from tests.service.memories.redis_server import RedisServer
from tests.service.safetensors.stored import BOTH, NUMPY, SEND, loaded, saved

MEMORIES = "/v1/memories"
TYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
SPAN = 2048
KEYS, HEADS, FEATURES = 3 * SPAN + 100, 2, 8
START_SECONDS, END_SECONDS = 180, 180
STOP_SECONDS = 2

WHOLE, SPREAD = "whole", "spread"
"""Names of memories that tests put anew: shards belong to a name, and take seconds to start."""

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
    "ranking alone": {"include": ["ranking"], "top_k": 3, "mask": {"causal": True, "offset": 5000}, "softcap": 2},
    "ranking of all keys": {"query": [[[[1.0] * FEATURES]] * 4], "include": ["ranking"]},
    "ranking with matrices": {"include": ["ranking", "scores"], "top_k": 3},
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

SPARSE: dict[str, dict[str, Any]] = {
    "sparsemax": {"normalizer": {"name": "sparsemax"}, "include": ["output"]},
    "entmax": {"normalizer": {"name": "entmax"}, "include": ["output"]},
    "hardmax": {"normalizer": {"name": "hardmax"}, "include": ["output"]},
}
"""Requests of which shards compute what may have a weight; NumPy adds up the values, in one order or another."""

LEFT: dict[str, dict[str, Any]] = {
    "rotary": {"position": {"name": "rotary"}, "include": ["output"]},
    "sparsemax with weights": {"normalizer": {"name": "sparsemax"}, "include": ["output", "weights"]},
}
"""Requests that the service computes itself."""


@pytest.fixture(scope="module")
def server(ray_cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose memories the nodes find."""
    directory: Path = tmp_path_factory.mktemp("sharded")
    with ray_cluster.server(directory, MEMORIES_DIRECTORY=str(directory / "memories")) as server:
        yield server


@pytest.fixture
async def client(ray_cluster: RayCluster, server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that server, while no test changes the nodes."""
    async with ray_cluster.client(server) as client:
        yield client


async def put(
    client: httpx.AsyncClient, name: str, shards: int, dtype: str = "float32", keys: int = KEYS, seed: int = 7
) -> None:
    """Put a memory of drawn numbers."""
    rng = np.random.default_rng(seed)
    tensors = {
        part: rng.standard_normal((1, HEADS, keys, FEATURES)).astype(NUMPY[TYPES[dtype]]) for part in ("key", "value")
    }
    body = saved(tensors, {"shards": shards})
    answer = await client.put(f"{MEMORIES}/{name}", content=body, headers=SEND)
    assert answer.status_code in (200, 201), answer.text
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


async def assert_equal(client: httpx.AsyncClient, spread: str, whole: str, cases: dict[str, dict[str, Any]]) -> None:
    """Fail unless two memories answer alike."""
    for case, request in cases.items():
        assert await ask(client, spread, request) == await ask(client, whole, request), case


@pytest.mark.parametrize("dtype", sample(["float32", "float64", "float16", "bfloat16"], "float32"))
async def test_shards_have_the_bits_of_one_process(client: httpx.AsyncClient, dtype: str) -> None:
    await put(client, WHOLE, 1, dtype)
    await put(client, SPREAD, 3, dtype)
    await wait_for_shards(client, SPREAD)
    before = await counted(client, BY_SHARDS)
    await assert_equal(client, SPREAD, WHOLE, CALLS)
    for case, request in SPARSE.items():
        outputs = [np.array((await ask(client, name, request))["output"]) for name in (SPREAD, WHOLE)]
        np.testing.assert_allclose(*outputs, rtol=1e-3 if "16" in dtype else 1e-5, atol=1e-5, err_msg=case)
    assert await counted(client, BY_SHARDS) == before + len(CALLS) + len(SPARSE)
    assert await counted(client, "attention_cluster_bytes_total") > 0
    await assert_equal(client, SPREAD, WHOLE, LEFT)


async def test_appends_and_replacements_are_seen_by_the_next_query(client: httpx.AsyncClient) -> None:
    for name, shards in ((WHOLE, 1), (SPREAD, 3)):
        await put(client, name, shards, "float64")
    await wait_for_shards(client, SPREAD)
    request = {"include": ["output"], "normalizer": {"name": "softmax", "temperature": 0.1}}
    answers = []
    before = await counted(client, BY_SHARDS)
    for number in range(4):
        new = np.full((1, HEADS, 1, FEATURES), number + 1.5).tolist()
        for name in (WHOLE, SPREAD):
            body = {"key": new, "value": new}
            assert (await client.post(f"{MEMORIES}/{name}/append", json=body)).status_code == 200
        await assert_equal(client, SPREAD, WHOLE, {"appended": request})
        answers.append(await ask(client, SPREAD, request))
    step = {"query": QUERY, "key": new, "value": new, "append": True, **request}
    decoded = [(await client.post("/v1/attention", json={**step, "memory": name})).json() for name in (WHOLE, SPREAD)]
    assert decoded[0]["output"] == decoded[1]["output"]
    assert decoded[1]["memory"]["keys"] == KEYS + 5
    assert len({str(answer["output"]) for answer in answers}) == 4
    for name, shards in ((WHOLE, 1), (SPREAD, 3)):
        await put(client, name, shards, "float64", keys=5 * SPAN, seed=8)
    await assert_equal(client, SPREAD, WHOLE, {"replaced": request})
    assert await counted(client, BY_SHARDS) == before + 10


@pytest.mark.soak
async def test_many_rows_continue_from_shard_to_shard(client: httpx.AsyncClient) -> None:
    for name, shards in ((WHOLE, 1), (SPREAD, 3)):
        await put(client, name, shards)
    await wait_for_shards(client, SPREAD)
    query = np.random.default_rng(5).standard_normal((1, 4, 9000, FEATURES)).astype(np.float32)
    answers = []
    before = await counted(client, BY_SHARDS)
    for name in (SPREAD, WHOLE):
        body = saved({"query": query}, {"memory": name, "include": ["output", "logsumexp"]})
        answer = await client.post("/v1/attention", content=body, headers=BOTH)
        answers.append(loaded(answer)[1])
    assert await counted(client, BY_SHARDS) == before + 1
    for name, array in answers[0].items():
        np.testing.assert_array_equal(array, answers[1][name])


@pytest.mark.soak
async def test_a_memory_without_a_cluster_is_computed_here(tmp_path: Path) -> None:
    with running_server(tmp_path, MEMORIES_DIRECTORY=str(tmp_path / "memories")) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            for name, shards in (("whole", 1), ("spread", 3)):
                await put(client, name, shards)
            await assert_equal(client, "spread", "whole", CALLS)
            assert await counted(client, "attention_shard_calls_total") == 0


@pytest.mark.soak
async def test_no_query_is_wrong_or_lost_while_a_node_dies(ray_cluster: RayCluster, server: Server) -> None:
    with ray_cluster.alone():
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            for name, shards in (("node-whole", 1), ("node", 3)):
                await put(client, name, shards)
            await wait_for_shards(client, "node")
            expected = await ask(client, "node-whole", CALLS["softmax"])
            for number in range(50):
                if number == 10:
                    ray_cluster.ask("kill", max(ray_cluster.ask("alive")))
                answer = await client.post("/v1/attention", json={"query": QUERY, **CALLS["softmax"], "memory": "node"})
                if answer.status_code == 503:
                    assert answer.json()["type"].endswith("cluster-unavailable")
                    assert int(answer.headers["retry-after"]) > 0
                    continue
                document = answer.json()
                del document["memory"]
                assert document == expected, number
                await asyncio.sleep(0.05)
            # The shard of that node is started on another, and reads its keys again.
            await wait_for_shards(client, "node")
            await assert_equal(client, "node", "node-whole", CALLS)


@pytest.mark.soak
async def test_a_frozen_shard_delays_a_query_by_seconds(ray_cluster: RayCluster, server: Server) -> None:
    with ray_cluster.alone():
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            for name, shards in (("frozen-whole", 1), ("frozen", 3)):
                await put(client, name, shards)
            others = set(ray_cluster.ask("actors"))
            await wait_for_shards(client, "frozen")
            # The last one has no keys: four spans are two for each of the others.
            [stopped] = [
                pid for name, pid in ray_cluster.ask("actors").items() if name not in others and name.endswith("-0")
            ]
            lost = await counted(client, "attention_shards_lost_total")
            os.kill(stopped, signal.SIGSTOP)
            try:
                started = time.monotonic()
                await assert_equal(client, "frozen", "frozen-whole", {"softmax": CALLS["softmax"]})
                assert time.monotonic() < started + 20
                assert await counted(client, "attention_shards_lost_total") == lost + 1
                assert await ask(client, "frozen", CALLS["relu"]) == await ask(client, "frozen-whole", CALLS["relu"])
            finally:
                os.kill(stopped, signal.SIGCONT)
            await wait_for_shards(client, "frozen")


@pytest.mark.soak
async def test_shards_stop_at_the_deadline(ray_cluster: RayCluster, server: Server) -> None:
    with ray_cluster.alone():
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            await put(client, "slow", 3, keys=64 * SPAN)
            others = set(ray_cluster.ask("actors"))
            await wait_for_shards(client, "slow")
            shards = [pid for name, pid in ray_cluster.ask("actors").items() if name not in others]
            query = np.zeros((1, 64, 800, FEATURES), np.float32)
            body = saved({"query": query}, {"memory": "slow", "include": ["output"]})
            started = time.monotonic()
            answer = await client.post("/v1/attention", content=body, headers={**BOTH, "Request-Timeout": "1"})
            assert answer.status_code == 504
            assert time.monotonic() < started + 10
            await asyncio.sleep(STOP_SECONDS)
            before = sum(map(cpu_seconds, shards))
            assert before > 0
            await asyncio.sleep(1)
            assert sum(map(cpu_seconds, shards)) < before + 0.5


async def wait_until_ended(cluster: RayCluster, actors: set[str]) -> None:
    """Wait until no actor of these names is left."""
    until = time.monotonic() + END_SECONDS
    while actors & set(cluster.ask("actors")):
        assert time.monotonic() < until, "the shards did not end"
        await asyncio.sleep(0.2)


@pytest.mark.soak
async def test_the_shards_of_a_deleted_memory_end(client: httpx.AsyncClient, ray_cluster: RayCluster) -> None:
    others = set(ray_cluster.ask("actors"))
    await put(client, "deleted", 3)
    await wait_for_shards(client, "deleted")
    # Beside it another process may start the shard of `test_an_idle_shard_ends_and_is_not_restarted`.
    own = {name for name in ray_cluster.ask("actors") if name not in others and not name.startswith("idle-")}
    assert len(own) == 3
    assert not any("deleted" in name for name in own)
    await client.delete(f"{MEMORIES}/deleted")
    await wait_until_ended(ray_cluster, own)


@pytest.mark.soak
async def test_an_idle_shard_ends_and_is_not_restarted(ray_cluster: RayCluster, tmp_path: Path) -> None:
    with ray_cluster.shared():
        shard = ray_cluster.ask("idle_shard", str(tmp_path), "idle", 1.0)
        await wait_until_ended(ray_cluster, {shard})


@pytest.mark.soak
async def test_shards_that_have_ended_are_started_by_the_next_query(ray_cluster: RayCluster, server: Server) -> None:
    with ray_cluster.alone():
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            others = set(ray_cluster.ask("actors"))
            for name, shards in (("ended-whole", 1), ("ended", 3)):
                await put(client, name, shards)
            await wait_for_shards(client, "ended")
            own = set(ray_cluster.ask("actors")) - others
            assert len(own) == 3
            ray_cluster.ask("end_actors", sorted(own))
            await wait_until_ended(ray_cluster, own)
            await assert_equal(client, "ended", "ended-whole", {"softmax": CALLS["softmax"]})
            await wait_for_shards(client, "ended")
            assert own <= set(ray_cluster.ask("actors"))


@pytest.mark.soak
async def test_workers_share_the_shards_of_a_memory(ray_cluster: RayCluster, tmp_path: Path) -> None:
    memories = str(tmp_path / "memories")
    with ray_cluster.alone(), ray_cluster.server(tmp_path, workers=2, MEMORIES_DIRECTORY=memories) as server:
        others = set(ray_cluster.ask("actors"))
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            for name, shards in (("shared-whole", 1), ("shared", 3)):
                await put(client, name, shards)
        workers = workers_of(server.process.pid)
        assert len(workers) == 2
        for stopped in workers:
            # The other one takes every connection.
            os.kill(stopped, signal.SIGSTOP)
            try:
                async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
                    await wait_for_shards(client, "shared")
                    await assert_equal(client, "shared", "shared-whole", CALLS)
            finally:
                os.kill(stopped, signal.SIGCONT)
            assert len(set(ray_cluster.ask("actors")) - others) == 3


@pytest.mark.soak
async def test_shards_read_memories_from_redis(ray_cluster: RayCluster, tmp_path: Path) -> None:
    redis = RedisServer()
    settings = {"MEMORIES_DIRECTORY": str(tmp_path / "cache"), "MEMORIES_URL": redis.url("sharded")}
    try:
        with ray_cluster.shared(), ray_cluster.server(tmp_path, **settings) as server:
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
                for name, shards in (("redis-whole", 1), ("redis", 3)):
                    await put(client, name, shards)
                await wait_for_shards(client, "redis")
                body = dict.fromkeys(("key", "value"), np.ones((1, HEADS, 1, FEATURES)).tolist())
                for name in ("redis-whole", "redis"):
                    assert (await client.post(f"{MEMORIES}/{name}/append", json=body)).status_code == 200
                before = await counted(client, BY_SHARDS)
                await assert_equal(client, "redis", "redis-whole", CALLS)
                assert await counted(client, BY_SHARDS) == before + len(CALLS)
    finally:
        redis.close()
