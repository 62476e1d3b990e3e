"""Hundreds of requests at once, small and large, in process and over a real socket: no answer is ever crossed."""

import asyncio
import random

import httpx

from tests.compare import assert_close

REQUESTS, CONNECTIONS = 400, 100


def question(number):
    """A request whose answer tells its number, and that answer; every eighth is too large for the event loop."""
    rng = random.Random(number)
    keys = 600 if number % 8 == 0 else 5
    value = [[number + rng.random()] for _ in range(keys)]
    request = {
        "query": [[0.0]],
        "key": [[rng.random()] for _ in range(keys)],
        "value": value,
        "include": ["output"],
    }
    return request, [[sum(row[0] for row in value) / keys]]


async def ask(client, number):
    request, expected = question(number)
    response = await client.post("/v1/attention", json=request, headers={"X-Request-ID": f"question-{number}"})
    assert response.status_code == 200, response.text
    assert response.headers["x-request-id"] == f"question-{number}"
    assert_close(response.json()["output"], expected, 1e-9)


async def ask_all(client):
    async with asyncio.TaskGroup() as group:
        for number in range(REQUESTS):
            group.create_task(ask(client, number))


async def test_in_process(app_client: httpx.AsyncClient):
    await ask_all(app_client)


async def test_over_a_real_socket(server):
    """As many at once as there are connections, each of which carries several requests."""

    async def ask_in_turn(numbers):
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            for number in numbers:
                await ask(client, number)

    async with asyncio.TaskGroup() as group:
        for first in range(CONNECTIONS):
            group.create_task(ask_in_turn(range(first, REQUESTS, CONNECTIONS)))


async def test_errors_among_them_stay_with_their_request(client):
    async def wrong(number):
        response = await client.post("/v1/attention", json={"query": [[1] * (number + 1)], "key": [[1] * (number + 2)]})
        assert response.status_code == 422
        assert f"expected {number + 1} features" in response.json()["detail"]

    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(wrong(number))
            group.create_task(ask(client, number))
