"""Requests beside others that write the same memory: each is answered right, or says what it has changed."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import numpy as np
import pytest
from safetensors.numpy import load

from tests.sampling import draws
from tests.server import Server, running_server

WRITERS = 6
KEY = 0.1
ROUNDED = {"float32": float(np.float32(KEY)), "float16": float(np.float16(KEY)), "bfloat16": 0.10009765625}
"""0.1 in each dtype."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two workers, which share the memories."""
    directory = tmp_path_factory.mktemp("races")
    settings = {"MEMORIES_DIRECTORY": str(directory / "memories")}
    with running_server(directory, "--workers", "2", **settings) as server:
        yield server


@pytest.fixture
async def client(own: Server) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=2 * WRITERS)
    async with httpx.AsyncClient(base_url=own.url, timeout=60, limits=limits) as connected:
        yield connected


async def in_each(count: int, ask) -> list[httpx.Response]:
    """The answers to `count` requests of each writer, which send one after the other."""

    async def one() -> list[httpx.Response]:
        return [await ask() for _ in range(count)]

    return [answer for answers in await asyncio.gather(*(one() for _ in range(WRITERS))) for answer in answers]


def attending(name: str, **members: object) -> dict[str, object]:
    return {"query": [[1, 1]], "memory": name, "append": True, "key": [[KEY, 1]], "include": []} | members


async def test_no_append_is_refused_or_lost_beside_others(client: httpx.AsyncClient) -> None:
    """By path and by a request that attends as well, from both workers."""
    (await client.put("/v1/memories/shared", json={"key": [[0, 0]]})).raise_for_status()
    steps = draws(80)

    async def by_path() -> httpx.Response:
        return await client.post("/v1/memories/shared/append", json={"key": [[KEY, 2]]})

    async def attend() -> httpx.Response:
        return await client.post("/v1/attention", json=attending("shared"))

    both = await asyncio.gather(in_each(steps, by_path), in_each(steps, attend))
    answers = [answer for answers in both for answer in answers]
    assert {answer.status_code for answer in answers} == {200}
    assert (await client.get("/v1/memories/shared")).json()["keys"] == 1 + 2 * WRITERS * steps


@pytest.mark.parametrize("dtypes", [("bfloat16", "float32"), ("float16", "float32")], ids=" ".join)
@pytest.mark.parametrize("way", ["by path", "in a request"])
async def test_what_is_appended_is_rounded_to_the_dtype_of_its_memory(
    client: httpx.AsyncClient, dtypes: tuple[str, str], way: str
) -> None:
    """While another client puts memories of two dtypes under the name in turn."""
    name = f"turns-{'-'.join(dtypes)}-{way.replace(' ', '-')}"
    over = asyncio.Event()
    wrong: list[tuple[str, list[float]]] = []

    async def put_in_turn() -> None:
        turn = 0
        while not over.is_set():
            body = {"key": [[0, 0]], "dtype": dtypes[turn % 2]}
            (await client.put(f"/v1/memories/{name}", json=body)).raise_for_status()
            turn += 1
            tensors = await client.get(f"/v1/memories/{name}/tensors")
            dtype = (await client.get(f"/v1/memories/{name}", headers={"If-Match": tensors.headers["ETag"]})).json()
            if dtype.get("dtype") not in (None, "bfloat16"):
                rows = load(tensors.content)["key"][1:, 0].astype(float).tolist()
                if any(row != ROUNDED[dtype["dtype"]] for row in rows):
                    wrong.append((dtype["dtype"], rows))

    async def append() -> httpx.Response:
        if way == "by path":
            return await client.post(f"/v1/memories/{name}/append", json={"key": [[KEY, 1]]})
        return await client.post("/v1/attention", json=attending(name))

    (await client.put(f"/v1/memories/{name}", json={"key": [[0, 0]], "dtype": dtypes[0]})).raise_for_status()
    putting = asyncio.ensure_future(put_in_turn())
    answers = await in_each(draws(60), append)
    over.set()
    await putting
    assert {answer.status_code for answer in answers} == {200}
    assert not wrong


async def test_a_fault_that_shows_in_the_numbers_alone_names_what_was_appended(client: httpx.AsyncClient) -> None:
    (await client.put("/v1/memories/positive", json={"key": [[1, 1]]})).raise_for_status()
    request = attending("positive", key=[[-1, -1]], normalizer="proportional", include=["weights"])
    answer = await client.post("/v1/attention", json=request)
    assert answer.status_code == 422
    version = (await client.get("/v1/memories/positive")).json()["version"]
    assert answer.headers["Attention-Memory-Version"] == version
    assert version in answer.json()["detail"]
    again = await client.post("/v1/attention", json=request, headers={"If-Match": '"an-older-one"'})
    assert again.status_code == 412
    assert "Attention-Memory-Version" not in again.headers
    assert "changed" not in again.json()["detail"]
