"""Two replicas of the service with one server of Redis: what one answers the other knows, and it may stop and start."""

from contextlib import AsyncExitStack, ExitStack

import httpx
import pytest

from tests.server import running_server
from tests.service.memories.redis_server import RedisServer
from tests.service.memories.wire import HEROES, MEMORIES, MORE, described, put, tag_of

pytestmark = pytest.mark.redis

REQUEST = {"query": [[1.0, 2.0]], "memory": "heroes", "include": ["output"]}


@pytest.fixture(scope="module")
def redis():
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def replicas(redis, tmp_path_factory):
    """Two replicas, each on a machine of its own."""
    with ExitStack() as running:
        url = redis.url("replicas")
        directories = [tmp_path_factory.mktemp("replica") for _ in range(2)]
        yield [
            running.enter_context(running_server(one, MEMORIES_URL=url, MEMORIES_DIRECTORY=str(one / "cache")))
            for one in directories
        ]


@pytest.fixture
async def clients(replicas):
    async with AsyncExitStack() as open_clients:
        yield [
            await open_clients.enter_async_context(httpx.AsyncClient(base_url=replica.url, timeout=30))
            for replica in replicas
        ]


async def outputs(clients, request=REQUEST):
    """Return the outputs that all replicas compute."""
    answers = [await client.post("/v1/attention", json=request) for client in clients]
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    return [answer.json()["output"] for answer in answers]


async def test_replicas_answer_from_the_same_memories(clients):
    first, second = clients
    assert (await put(first, "heroes")).status_code == 201
    sent = {"query": REQUEST["query"], "include": ["output"], "key": HEROES["key"], "value": HEROES["value"]}
    assert await outputs(clients) == await outputs(clients, sent)
    appended = await second.post(f"{MEMORIES}/heroes/append", json=MORE)
    assert appended.status_code == 200
    whole = {**sent, "key": HEROES["key"] + MORE["key"], "value": HEROES["value"] + MORE["value"]}
    assert await outputs(clients) == await outputs(clients, whole)
    before = await described(first, "heroes")
    refused = await first.post(f"{MEMORIES}/heroes/append", json=MORE, headers={"If-Match": '"other"'})
    assert refused.status_code == 412
    step = {**REQUEST, "append": True, "key": [[1.0, 1.0]], "value": [[9.0]]}
    step["labels"] = {"key": ["辅助"]}
    answer = await second.post("/v1/attention", json=step, headers={"If-Match": tag_of(before)})
    assert answer.status_code == 200, answer.text
    assert (await described(first, "heroes"))["version"] == answer.json()["memory"]["version"]


async def test_a_server_that_stops_is_a_503_and_loses_nothing(clients, redis):
    assert (await put(clients[0], "heroes", **{"If-Match": "*"})).status_code == 200
    before = [await described(client, "heroes") for client in clients]
    expected = await outputs(clients)
    redis.stop()
    try:
        for client in clients:
            for answer in (
                await client.post("/v1/attention", json=REQUEST),
                await put(client, "heroes"),
                await client.post(f"{MEMORIES}/heroes/append", json=MORE),
                await client.get(f"{MEMORIES}/heroes"),
                await client.get(f"{MEMORIES}/heroes/tensors"),
                await client.get(MEMORIES),
                await client.delete(f"{MEMORIES}/heroes"),
            ):
                assert answer.status_code == 503, answer.text
                assert int(answer.headers["retry-after"]) >= 1
                assert str(redis.socket) not in answer.text
            plain = {"query": [[1.0, 2.0]], "key": HEROES["key"], "value": HEROES["value"]}
            assert (await client.post("/v1/attention", json=plain)).status_code == 200
            assert (await client.get("/readyz")).status_code == 200
    finally:
        redis.start()
    assert [await described(client, "heroes") for client in clients] == before
    assert await outputs(clients) == expected
