"""Long runs against one server: what a minute does not show."""

import asyncio
import random
import re
from pathlib import Path

import httpx
import pytest

from tests.operations import Limit
from tests.server import running_server

pytestmark = pytest.mark.soak

REQUESTS = 10_000
CONNECTIONS = 8


def request(rng):
    """Content of a request, and the statuses that are right answers to it: small, large, wrong, or broken."""
    kind = rng.random()
    if kind < 0.6:
        return {"query": _numbers(rng, 4, 8), "key": _numbers(rng, 6, 8), "value": _numbers(rng, 6, 3)}, {200}
    if kind < 0.8:
        size = rng.choice((64, 128, 200))
        return {"query": _numbers(rng, size, 16), "key": _numbers(rng, size, 16), "include": ["weights"]}, {200}
    if kind < 0.9:
        return {"query": _numbers(rng, 4, 8), "key": _numbers(rng, 6, 7)}, {422}
    return b'{"query": [[1, 2]', {400}


def _numbers(rng, rows, columns):
    return [[round(rng.gauss(0, 1), 3) for _ in range(columns)] for _ in range(rows)]


def resident_mib(pid):
    """Resident memory of a process, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


async def test_memory_reaches_a_plateau_over_ten_thousand_mixed_requests(tmp_path, report_figure):
    """After the first half memory grows by less than 32 MiB."""
    rng = random.Random(16)
    requests = [request(rng) for _ in range(200)]
    with running_server(tmp_path) as server:

        async def ask(number):
            content, right = requests[number % len(requests)]
            options = {"content": content} if isinstance(content, bytes) else {"json": content}
            response = await client.post("/v1/attention", **options)
            assert response.status_code in right, response.text

        async def worker(numbers):
            for number in numbers:
                await ask(number)

        readings = []
        limits = httpx.Limits(max_connections=CONNECTIONS)
        async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
            for tenth in range(10):
                first = tenth * REQUESTS // 10
                numbers = iter(range(first, first + REQUESTS // 10))
                await asyncio.gather(*(worker(numbers) for _ in range(CONNECTIONS)))
                readings.append(round(resident_mib(server.process.pid), 1))
        report_figure(f"16: resident MiB after each thousand requests: {readings}")
        # The first half warms caches and heaps up; after that memory stays where it is.
        assert max(readings[5:]) - readings[4] < Limit.PLATEAU.number
        assert server.stop()[0] == 0
