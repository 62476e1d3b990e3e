"""Admission: body limit, result and operation budget, bounded threads and queue, deadline."""

import asyncio
import time

import httpx
import pytest

from tests.server import running_server
from tests.service.telemetry.scraping import until_seen

SLOW = {
    # Additive with many hidden units takes a second or so, and is cut into blocks where it can be stopped.
    "query": [[0.5]] * 12_000,
    "key": [[0.5]] * 1500,
    "score_model": {"name": "additive", "query_weight": [[1]] * 64, "key_weight": [[1]] * 64, "score_vector": [1] * 64},
    "normalizer": "hardmax",
    "include": [],
}


def problem(response, status, slug):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == f"/problems/{slug}"
    return response.json()["detail"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server with small limits."""
    limits = {"MAX_BODY_BYTES": "50000", "MAX_RESULT_BYTES": "20000", "MAX_OPERATIONS": "10000000"}
    with running_server(tmp_path_factory.mktemp("small"), **limits) as running:
        yield running


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A server with one compute thread and room for two to wait."""
    limits = {"COMPUTE_THREADS": "1", "QUEUE_SIZE": "2", "DEADLINE_SECONDS": "20"}
    with running_server(tmp_path_factory.mktemp("narrow"), **limits) as running:
        yield running


async def post(server, **options):
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        return await client.post("/v1/attention", **options)


def padded(size):
    body = b'{"query": [[1]], "key": [[1]]}'
    return body + b" " * (size - len(body))


@pytest.mark.parametrize("chunked", [False, True])
async def test_the_body_limit_is_exact(small, chunked):
    def content(size):
        async def pieces():
            for start in range(0, size, 1000):
                yield padded(size)[start : start + 1000]

        return pieces() if chunked else padded(size)

    assert (await post(small, content=content(50_000))).status_code == 200
    detail = problem(await post(small, content=content(50_001)), 413, "too-large")
    assert "expected a body of at most 50000 bytes; received 50001" in detail


async def test_a_result_that_would_be_too_large_is_refused_with_its_numbers(small):
    many = {"query": [[1]] * 40, "key": [[1]] * 40}
    detail = problem(await post(small, json=many), 413, "too-large")
    assert "at most 20000 bytes" in detail
    assert "3200 numbers" in detail
    assert (await post(small, json=many | {"include": []})).status_code == 200


async def test_operations_over_the_budget_are_refused_with_their_numbers(small):
    many = {"query": [[1]] * 2000, "key": [[1]] * 2000, "include": []}
    detail = problem(await post(small, json=many), 413, "too-large")
    assert "expected at most 10000000 operations; received a request that needs about 392000000" in detail


@pytest.mark.alone
async def test_weights_that_no_machine_could_hold_are_refused_at_once(server):
    vectors = [[0]] * 100_000
    started = time.monotonic()
    detail = problem(await post(server, json={"query": vectors, "key": vectors}), 413, "too-large")
    assert "20000000000 numbers" in detail
    assert time.monotonic() - started < 5


@pytest.mark.alone
@pytest.mark.soak
async def test_what_does_not_fit_the_queue_is_refused_at_once_and_the_rest_is_answered(narrow):
    async with httpx.AsyncClient(base_url=narrow.url, timeout=60) as client:
        slow = [asyncio.create_task(client.post("/v1/attention", json=SLOW)) for _ in range(3)]
        await until_seen(narrow.url, lambda now: now.value("attention_queued") == 2)
        refused = await asyncio.gather(*(client.post("/v1/attention", json=SLOW) for _ in range(4)))
        for response in refused:
            problem(response, 429, "queue-full")
            assert int(response.headers["retry-after"]) >= 1
        assert (await client.get("/livez", timeout=2)).status_code == 200
        assert [response.status_code for response in await asyncio.gather(*slow)] == [200, 200, 200]
        assert (await client.post("/v1/attention", json=SLOW)).status_code == 200, "the queue did not empty"


@pytest.mark.alone
@pytest.mark.parametrize("seconds", ["0.2", "0.000000001"])
async def test_a_deadline_is_kept_while_computing(server, seconds):
    longer = SLOW | {"query": SLOW["query"] * 4}
    started = time.monotonic()
    response = await post(server, json=longer, headers={"Request-Timeout": seconds})
    problem(response, 504, "deadline-exceeded")
    assert time.monotonic() - started < 1.5


@pytest.mark.alone
@pytest.mark.soak
async def test_what_expires_in_the_queue_is_never_computed(narrow):
    async with httpx.AsyncClient(base_url=narrow.url, timeout=60) as client:
        running = asyncio.create_task(client.post("/v1/attention", json=SLOW))
        await asyncio.sleep(0.2)
        waiting = await client.post("/v1/attention", json=SLOW, headers={"Request-Timeout": "0.1"})
        problem(waiting, 504, "deadline-exceeded")
        assert (await running).status_code == 200


async def test_a_longer_timeout_than_the_services_own_is_not_an_error(server):
    response = await post(server, json={"query": [[1]], "key": [[1]]}, headers={"Request-Timeout": "1000"})
    assert response.status_code == 200


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", ""])
async def test_an_unreadable_timeout_is_a_400(server, value):
    response = await post(server, json={"query": [[1]], "key": [[1]]}, headers={"Request-Timeout": value})
    assert "Request-Timeout" in problem(response, 400, "malformed-body")


@pytest.mark.alone
@pytest.mark.soak
async def test_a_body_that_does_not_arrive_is_a_408(tmp_path):
    with running_server(tmp_path, BODY_TIMEOUT_SECONDS="0.5") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        started = time.monotonic()
        writer.write(b'POST /v1/attention HTTP/1.1\r\nHost: test\r\nContent-Length: 30\r\n\r\n{"query": [[1]],')
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 10)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"/problems/timeout" in answer
        assert 0.4 < time.monotonic() - started < 2
        writer.close()
