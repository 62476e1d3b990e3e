"""Calls on a cluster: the same bytes as without one."""

import asyncio
import itertools
import json

import httpx
import pytest

from tests import calls
from tests.cluster.large import BFLOAT16, MINUTES, SOME, Sizes, SubmittedTasks, body, post
from tests.sampling import every
from tests.service.safetensors.stored import SEND

INCLUDED = (
    ["output"],
    ["scores", "capped_scores", "logits", "weights", "output"],
    ["ranking", "diagnostics", "output"],
)


def metric(text: str, name: str) -> float:
    """A number of /metrics."""
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


async def both(client: httpx.AsyncClient, ray_client: httpx.AsyncClient, path: str, **request):
    """The answers of a server without a cluster and one with it."""
    return [await one.post(path, timeout=120, **request) for one in (client, ray_client)]


# The soak has one in 509, which is each pair of values of two axes; a fifth of them has every value of each axis.
@pytest.mark.parametrize("point", every(10, list(itertools.product(calls.combinations(), INCLUDED))[::509]))
async def test_every_kind_of_call_has_the_same_bits(client, ray_client, point):
    one, include = point
    local, spread = await both(client, ray_client, "/v1/attention", json={**one.request(), "include": include})
    assert spread.content == local.content
    assert spread.status_code == local.status_code == 200
    assert spread.headers["attention-kernel"] == local.headers["attention-kernel"]


async def test_the_cluster_computes_them(ray_client):
    """Tasks, and bytes in both directions, are counted; a call is logged and timed as any other."""
    while not metric((await ray_client.get("/metrics")).text, 'attention_cluster_bytes_total{direction="in"}'):
        # Nodes that have yet to start a process may take so long that the front computes a part itself.
        assert (await post(ray_client, body(SOME))).status_code == 200
    before = (await ray_client.get("/metrics")).text
    answer = await post(ray_client, body(SOME, mask={"causal": True}))
    after = (await ray_client.get("/metrics")).text
    grown = {
        name: metric(after, f"attention_cluster_{name}") - metric(before, f"attention_cluster_{name}")
        for name in ("calls_total", "tasks_total", "retries_total", "seconds_total")
    }
    assert answer.status_code == 200
    assert grown["calls_total"] == 1
    assert grown["tasks_total"] >= 3
    assert grown["seconds_total"] > 0
    sent = metric(after, 'attention_cluster_bytes_total{direction="out"}')
    received = metric(after, 'attention_cluster_bytes_total{direction="in"}')
    assert sent > 4 * 8 * 64 * (700 + 2 * 1500)
    assert received > 4 * 8 * 64 * 700
    assert metric(after, "attention_compute_seconds_count") > metric(before, "attention_compute_seconds_count")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="rows"),
        pytest.param({"mask": {"causal": True, "offset": "bottom_right"}}, id="causal"),
        pytest.param({"dtype": BFLOAT16, "include": ["output", "logsumexp"]}, id="bfloat16"),
    ],
)
@pytest.mark.parametrize("sizes", [SOME, Sizes(heads=2, queries=3, keys=9 * 2048 + 5)], ids=["rows", "spans"])
async def test_large_calls_have_the_same_bits(client, ray_client, sizes, options):
    content = body(sizes, **options)
    local, spread = await post(client, content), await post(ray_client, content)
    assert local.status_code == 200, local.text
    assert spread.content == local.content


async def test_a_deadline_ends_every_task(ray_cluster, ray_server, ray_client):
    content = body(MINUTES)
    for seconds in ("1", "5", "25"):
        tasks = SubmittedTasks(ray_cluster, ray_server)
        answer = await post(ray_client, content, **{"Request-Timeout": seconds})
        assert (answer.status_code, answer.json()["type"]) == (504, "/problems/deadline-exceeded")
        # A machine with other things to do takes longer until it begins.
        if await tasks.are_known():
            break
    assert await tasks.count_left() == 0


async def test_a_client_that_goes_away_ends_every_task(ray_cluster, ray_server, ray_client):
    tasks = SubmittedTasks(ray_cluster, ray_server)
    waiting = asyncio.create_task(post(ray_client, body(MINUTES)))
    while not await tasks.are_known():
        assert not waiting.done()
    waiting.cancel()
    assert await tasks.count_left() == 0


async def test_progress_is_reported(ray_client):
    async with ray_client.stream(
        "POST", "/v1/attention", content=body(SOME), headers={**SEND, "Accept": "text/event-stream"}
    ) as answer:
        events = [json.loads(line[6:]) async for line in answer.aiter_lines() if line.startswith("data: ")]
    progress = [event for event in events if "total" in event]
    assert len(progress) >= 2
    assert progress[-1]["done"] == progress[-1]["total"]
