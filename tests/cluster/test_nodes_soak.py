"""Nodes that die, freeze or come back, and a cluster that is lost: no answer is wrong, none is awaited in vain."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from service.cluster.tasks import TASK
from tests.cluster.ground import PYTHON, START_SECONDS, ray_environment
from tests.cluster.large import SOME, Sizes, body, post
from tests.cluster.test_large_calls import metric
from tests.processes import children_of, workers_of
from tests.server import free_port, log_lines, running_server

pytestmark = pytest.mark.soak

CALLS = 50
SEEDS = 5
SECONDS = Sizes(heads=32, queries=3000, keys=32768, shared=32)
"""Takes several seconds on three CPUs."""

FEW_QUERIES = Sizes(heads=2, queries=3, keys=9 * 2048 + 5)
SMALL = {"query": [[1, 0]], "key": [[1, 0], [0, 1]], "value": [[1], [2]]}

MAX_END_SECONDS = 20
"""Within the time that a container has to end."""

IN_PLACE = {"RAY_ADDRESS": "local", "RAY_MIN_OPERATIONS": "10000000"}


@pytest.fixture
async def changing(ray_cluster, ray_server):
    """A client of the server, while this test alone changes the nodes."""
    with ray_cluster.alone():
        async with httpx.AsyncClient(base_url=ray_server.url, timeout=120) as connected:
            yield connected


def is_refused(answer):
    """Whether an answer is the refusal of a cluster that is not there."""
    if answer.status_code != 503:
        return False
    assert answer.json()["type"] == "/problems/cluster-unavailable"
    return int(answer.headers["retry-after"]) >= 1


async def test_a_node_that_dies_among_fifty_calls_makes_none_wrong(client, changing, ray_cluster, report_figure):
    bodies = [body(SOME if seed % 2 else FEW_QUERIES, seed) for seed in range(SEEDS)]
    expected = [(await post(client, content)).content for content in bodies]
    number = ray_cluster.ask("add")
    seen = {"right": 0, "refused": 0}
    limit = asyncio.Semaphore(2)

    async def call(place):
        async with limit:
            answer = await post(changing, bodies[place % SEEDS])
        if answer.status_code == 200:
            assert answer.content == expected[place % SEEDS], place
        else:
            assert is_refused(answer), answer.text
        seen["right" if answer.status_code == 200 else "refused"] += 1
        if sum(seen.values()) == CALLS // 4:
            await asyncio.to_thread(ray_cluster.ask, "kill", number)

    async with asyncio.TaskGroup() as group:
        for place in range(CALLS):
            group.create_task(call(place))
    report_figure(f"a node killed among {CALLS} calls: {seen['right']} right, {seen['refused']} refused")
    assert sum(seen.values()) == CALLS
    assert seen["right"]


async def test_tasks_that_ray_begins_again_are_counted(client, changing, ray_cluster):
    content = body(SECONDS)
    expected = (await post(client, content)).content
    number = ray_cluster.ask("alive")[-1]
    before = metric((await changing.get("/metrics")).text, "attention_cluster_retries_total")
    waiting = asyncio.create_task(post(changing, content))
    while not await asyncio.to_thread(ray_cluster.ask, "runs", number, TASK):
        assert not waiting.done()
        await asyncio.sleep(0.05)
    await asyncio.to_thread(ray_cluster.ask, "kill", number)
    assert (await waiting).content == expected
    after = metric((await changing.get("/metrics")).text, "attention_cluster_retries_total")
    assert after > before


async def test_what_a_frozen_node_does_not_answer_is_computed_by_the_front(client, changing, ray_cluster):
    """Ray itself notices a frozen node after half a minute."""
    content = body(SOME)
    expected = (await post(client, content)).content
    assert (await post(changing, content)).content == expected
    number = ray_cluster.ask("alive")[-1]
    ray_cluster.ask("freeze", number)
    try:
        answer = await post(changing, content)
    finally:
        ray_cluster.ask("thaw", number)
    assert answer.content == expected


async def test_a_deadline_that_ends_while_a_node_is_frozen_is_answered(client, changing, ray_cluster):
    """No request waits for the node, and none of them keeps a thread: calls after it are answered right."""
    content = body(SOME)
    expected = (await post(client, content)).content
    assert (await post(changing, content)).content == expected
    number = ray_cluster.ask("alive")[-1]
    ray_cluster.ask("freeze", number)
    try:
        # More calls than threads; some may have no part on that node.
        answers = await asyncio.gather(*(post(changing, content, **{"Request-Timeout": "1"}) for _ in range(6)))
        for answer in answers:
            if answer.status_code == 504:
                assert answer.json()["type"] == "/problems/deadline-exceeded"
            else:
                assert answer.content == expected
        assert any(answer.status_code == 504 for answer in answers)
        assert (await post(changing, content)).content == expected
    finally:
        ray_cluster.ask("thaw", number)


async def until(condition, seconds=300):
    """Wait until something asynchronous is true."""
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, "it took too long"
        await asyncio.sleep(0.2)


def is_there(process):
    """Whether a process has not ended."""
    return Path(f"/proc/{process}").exists()


@pytest.fixture
def another_address(monkeypatch):
    """Ray's own variable names another cluster, as a file of Ray does where one runs on this machine already."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")


@pytest.mark.usefixtures("another_address")
@pytest.mark.parametrize("ray_cluster", [None])
async def test_ray_in_place_is_started_again_when_it_dies(client, ray_cluster, tmp_path):
    """Ray ends the worker with it, and another takes its place: small calls go on before large ones do."""
    content = body(SOME)
    expected = (await post(client, content)).content
    with running_server(tmp_path, python=PYTHON, **IN_PLACE) as server:
        log_lines(server, "connected to a Ray cluster", seconds=START_SECONDS)
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as started:
            assert (await post(started, content)).content == expected
            [worker] = workers_of(server.process.pid)
            [ray] = children_of(worker)
            os.kill(ray, signal.SIGKILL)

            async def small():
                with suppress(httpx.TransportError):
                    return (await started.post("/v1/attention", json=SMALL)).status_code == 200

            async def right():
                with suppress(httpx.TransportError):
                    answer = await post(started, content)
                    assert is_refused(answer) or answer.content == expected
                    return answer.status_code == 200

            with suppress(httpx.TransportError):
                answer = await post(started, content)
                assert is_refused(answer) or answer.content == expected
            await until(small)
            await until(right)
        assert server.stop()[0] == 0
        assert "SIGTERM received" not in server.log.read_text()


@pytest.mark.parametrize("ray_cluster", [None])
async def test_a_server_that_ends_while_ray_starts_leaves_nothing_behind(ray_cluster, tmp_path):
    with running_server(tmp_path, python=PYTHON, **IN_PLACE) as server:
        [worker] = workers_of(server.process.pid)

        async def started():
            return any(map(children_of, children_of(worker)))

        await until(started)
        [ray] = children_of(worker)
        assert "connected to a Ray cluster" not in server.log.read_text()
        began = time.monotonic()
        assert server.stop()[0] == 0
        assert time.monotonic() - began < MAX_END_SECONDS
    nodes = children_of(ray)

    async def gone():
        nodes.update(children_of(ray))
        return not any(map(is_there, (ray, *nodes)))

    await until(gone)


@pytest.mark.usefixtures("another_address")
@pytest.mark.parametrize("ray_cluster", [None])
async def test_several_workers_share_ray_in_place(client, ray_cluster, tmp_path):
    content = body(SOME)
    expected = (await post(client, content)).content
    with running_server(tmp_path, python=PYTHON, WORKERS="2", **IN_PLACE) as server:
        log_lines(server, "connected to a Ray cluster", 2, START_SECONDS)
        for _ in range(6):
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as started:
                assert (await post(started, content)).content == expected
        assert server.stop()[0] == 0


@pytest.mark.parametrize("ray_cluster", [None])
async def test_without_a_cluster_at_the_address_small_calls_are_answered(ray_cluster, tmp_path):
    """The server starts, and says in its log why large calls are refused."""
    settings = {"RAY_ADDRESS": f"127.0.0.1:{free_port()}", "RAY_MIN_OPERATIONS": "10000000"}
    with running_server(tmp_path, python=PYTHON, base=ray_environment("0" * 64), **settings) as server:
        log_lines(server, "cannot connect to the Ray cluster")
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as started:
            assert is_refused(await post(started, body(SOME)))
            assert (await started.post("/v1/attention", json=SMALL)).status_code == 200
            # NumPy computes a formula as score modifier, always in this process.
            formula = {"score_modifier": {"formula": "score * cos(i)"}}
            assert (await post(started, body(SOME, **formula))).status_code == 200
        assert server.stop()[0] == 0
