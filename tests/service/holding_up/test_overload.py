"""More than the service can do, for longer than it may take, for clients that have gone."""

import asyncio
import time

import httpx
import pytest

from tests.operations import Limit
from tests.processes import cpu_seconds
from tests.server import running_server
from tests.service.telemetry.scraping import scrape, until_seen

pytestmark = pytest.mark.alone

JSON = {"Content-Type": "application/json"}

SMALL = {"query": [[1.0]], "key": [[1.0]], "include": ["weights"]}


def problem(response, status, slug):
    assert response.status_code == status, response.text
    assert response.json()["type"] == f"/problems/{slug}"
    assert response.headers["x-request-id"] == response.json()["instance"]
    return response


@pytest.fixture
async def asking(narrow):
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(base_url=narrow.url, timeout=60, limits=limits, headers=JSON) as client:
        yield client


async def busy(client, body, **headers):
    """Begin a request and let it reach its thread."""
    url = str(client.base_url).rstrip("/")
    before = scrape(url).value("attention_in_flight")
    task = asyncio.create_task(client.post("/v1/attention", content=body, headers=headers))
    await until_seen(url, lambda now: now.value("attention_in_flight") > before)
    await asyncio.sleep(0.15)
    return task


async def idle(client, brief):
    """Fail unless within a second the whole queue is free: as many as may wait are let in at once, and answered."""

    async def post():
        return await client.post("/v1/attention", content=brief)

    until, url = time.monotonic() + 1, str(client.base_url).rstrip("/")
    await until_seen(url, lambda now: not now.total("attention_in_flight") + now.total("attention_queued"), seconds=1)
    # The thread of a request that has been answered with 504 is free when its tile is finished.
    while any(answer.status_code != 200 for answer in await asyncio.gather(*(post() for _ in range(5)))):
        assert time.monotonic() < until


async def test_exactly_the_overflow_is_refused_at_once(narrow, asking, long, brief, report_figure):
    """One computes and four wait; of ten more all ten are refused within half a second, the five succeed."""
    first = [await busy(asking, long)]
    first += [asyncio.create_task(asking.post("/v1/attention", content=brief)) for _ in range(4)]
    await until_seen(narrow.url, lambda now: now.value("attention_queued") == 4)

    async def refused():
        started = time.monotonic()
        response = problem(await asking.post("/v1/attention", content=brief), 429, "queue-full")
        assert int(response.headers["retry-after"]) >= 1
        return time.monotonic() - started

    for attempt in range(1, 4):
        before = scrape(narrow.url).value("attention_rejected_total", reason="queue-full")
        seconds = max(await asyncio.gather(*(refused() for _ in range(10))))
        report_figure(f"ten too many are refused within {seconds * 1000:.0f} ms (attempt {attempt})")
        after = scrape(narrow.url)
        assert after.value("attention_rejected_total", reason="queue-full") == before + 10
        assert after.total("attention_queued") == 4
        if seconds < Limit.FULL_QUEUE_REFUSAL.number:
            break
    assert seconds < Limit.FULL_QUEUE_REFUSAL.number
    assert (await asking.post("/v1/attention", json=SMALL)).status_code == 200, "a small request waited"
    assert [response.status_code for response in await asyncio.gather(*first)] == [200] * 5


async def test_a_deadline_in_the_queue_and_while_computing(asking, harder, brief, report_figure):
    """0.3 s allowed: answered with 504 within 1 s, computing or waiting; what expired while waiting never runs."""
    for attempt in range(1, 4):
        started = time.monotonic()
        computing = await busy(asking, harder, **{"Request-Timeout": "0.8"})
        asked = time.monotonic()
        waiting = await asking.post("/v1/attention", content=brief, headers={"Request-Timeout": "0.3"})
        waited = time.monotonic() - asked
        problem(waiting, 504, "deadline-exceeded")
        problem(await computing, 504, "deadline-exceeded")
        computed = time.monotonic() - started
        report_figure(f"504 after {waited:.2f} s of 0.3 s waiting, {computed:.2f} s of 0.8 s computing ({attempt})")
        if waited < Limit.DEADLINE_IN_QUEUE.number and computed < Limit.DEADLINE_COMPUTING.number:
            break
    assert waited < Limit.DEADLINE_IN_QUEUE.number
    assert computed < Limit.DEADLINE_COMPUTING.number
    await idle(asking, brief)


async def vanish(server, body):
    """Send a request and go away shortly after."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /v1/attention HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    await asyncio.sleep(0.3)
    writer.close()
    await writer.wait_closed()


async def test_a_disconnect_while_computing_stops_the_computation(narrow, asking, harder, brief, report_figure):
    """Half a second after the client has gone the process uses less than a fifth of a core."""
    for attempt in range(1, 4):
        await vanish(narrow, harder)
        await asyncio.sleep(0.5)
        before, started = cpu_seconds(narrow.process.pid), time.monotonic()
        await asyncio.sleep(1)
        share = (cpu_seconds(narrow.process.pid) - before) / (time.monotonic() - started)
        report_figure(f"{share:.0%} of a core in use half a second after the client has gone (attempt {attempt})")
        if share < Limit.CORES_AFTER_DISCONNECT.number:
            break
    assert share < Limit.CORES_AFTER_DISCONNECT.number
    await idle(asking, brief)


async def test_a_disconnect_in_the_queue_frees_the_place(narrow, asking, harder, brief, report_figure):
    """Five have gone; five others are let in at once, though one of the old computations still runs."""
    computing = await busy(asking, harder, **{"Request-Timeout": "2"})
    await asyncio.gather(*(vanish(narrow, brief) for _ in range(4)))
    await until_seen(narrow.url, lambda now: now.value("attention_queued") == 0)
    assert not computing.done(), "the line was not left but computed"
    started = time.monotonic()
    waiting = [asyncio.create_task(asking.post("/v1/attention", content=brief)) for _ in range(4)]
    problem(await computing, 504, "deadline-exceeded")
    assert [response.status_code for response in await asyncio.gather(*waiting)] == [200] * 4
    report_figure(f"four freed places were taken and answered in {time.monotonic() - started:.1f} s")


async def test_bytes_in_flight_are_refused_when_no_request_frees_memory(tmp_path, report_figure):
    """A body that is announced is room taken; the next waits two seconds for it and is refused, small ones never."""
    with running_server(tmp_path, BYTES_IN_FLIGHT="1000000") as server:
        head = b"POST /v1/attention HTTP/1.1\r\nHost: test\r\nContent-Length: 225000\r\n\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head)
        await until_seen(server.url, lambda now: now.value("attention_in_flight") == 1)
        await asyncio.sleep(0.1)
        async with httpx.AsyncClient(base_url=server.url, timeout=30, headers=JSON) as client:
            started = time.monotonic()
            body = b'{"query": [[1]], "key": [[1]]}'
            late = client.post("/v1/attention", content=body + b" " * 225_000)
            small = client.post("/v1/attention", json=SMALL)
            late, small = await asyncio.gather(late, small)
            problem(late, 429, "queue-full")
            assert "at most 1000000 bytes" in late.json()["detail"]
            assert int(late.headers["retry-after"]) >= 1
            assert small.status_code == 200
            seconds = time.monotonic() - started
            report_figure(f"no room for a body for 2 s: refused after {seconds:.2f} s")
            assert 1.9 < seconds < Limit.BYTES_REFUSAL.number
            never = await client.post("/v1/attention", content=body + b" " * 1_000_000)
            problem(never, 413, "too-large")
            writer.close()
            await writer.wait_closed()
            await asyncio.sleep(0.1)
            again = await client.post("/v1/attention", content=body + b" " * 225_000)
            assert again.status_code == 200, "what the client that has gone held was not given back"
