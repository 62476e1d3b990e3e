"""What others wait while the largest answers are written."""

import asyncio
from pathlib import Path
from time import perf_counter

import httpx
import numpy as np
import pytest

from tests.operations import Limit
from tests.sampling import sample
from tests.server import running_server

LENGTH = 1800

PLAIN = {"Accept-Encoding": "identity"}


@pytest.mark.alone
@pytest.mark.parametrize("seconds", sample([2, 6], 2))
async def test_probes_answer_while_the_largest_answers_are_written(tmp_path: Path, report_figure, seconds: float):
    vectors = np.random.default_rng(0).standard_normal((LENGTH, 4)).round(6).tolist()
    request = {"query": vectors, "key": vectors, "include": ["scores"]}
    with running_server(tmp_path) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            waits, answers, size = [], 0, 0
            until = perf_counter() + seconds

            async def ask():
                nonlocal answers, size
                while perf_counter() < until:
                    async with client.stream("POST", "/v1/attention", json=request, headers=PLAIN) as answer:
                        assert answer.status_code == 200
                        size = sum([len(chunk) async for chunk in answer.aiter_raw()])
                    answers += 1

            asking = asyncio.create_task(ask())
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as prober:
                while not asking.done():
                    started = perf_counter()
                    assert (await prober.get("/livez")).status_code == 200
                    waits.append(perf_counter() - started)
                    await asyncio.sleep(0.005)
            await asking
    assert answers, "no answer was finished, so nothing was measured"
    assert size > LENGTH * LENGTH * 10
    report_figure(
        f"{answers} answers of {size / 2**20:.0f} MiB beside {len(waits)} probes: "
        f"median {np.median(waits) * 1e3:.1f} ms, p99 {np.quantile(waits, 0.99) * 1e3:.0f} ms, "
        f"longest {max(waits) * 1e3:.0f} ms"
    )
    assert max(waits) < Limit.LONGEST_PROBE.number
