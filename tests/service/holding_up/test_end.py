"""The end of a process: in order when it is asked to, and without harm to others when it is not."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.operations import Limit
from tests.processes import children_of, workers_of
from tests.sampling import sample
from tests.server import HEARS_SIGNALS, free_port, running_server
from tests.service.telemetry.scraping import until_seen

pytestmark = pytest.mark.alone

LIMITS = httpx.Limits(max_connections=64)

CONNECTIONS = 6

GENTLE = {
    # A tenth of a second or so, and an answer that tells whether it is whole.
    "query": [[0.5]] * 800,
    "key": [[0.5]] * 800,
    "value": [[2.0]] * 800,
    "score_model": {"name": "additive", "query_weight": [[1]] * 32, "key_weight": [[1]] * 32, "score_vector": [1] * 32},
    "include": ["output"],
}


def begun(count):
    """A condition: at least `count` requests have reached the service, including those that are answered."""
    return lambda now: now.value("attention_in_flight") + now.total("attention_requests_total", method="POST") >= count


async def in_flight(client, count, seconds, **headers):
    """Send `count` requests, and give them `seconds` to reach the service."""
    tasks = [asyncio.create_task(client.post("/v1/attention", json=GENTLE, headers=headers)) for _ in range(count)]
    await asyncio.sleep(seconds)
    return tasks


def assert_right(response):
    assert response.status_code == 200, response.text
    output = response.json()["output"]
    assert len(output) == 800
    assert all(abs(row[0] - 2.0) < 1e-9 for row in output)


async def readiness(port):
    """What a new connection for /readyz meets."""
    try:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"http://127.0.0.1:{port}/readyz", timeout=2)).status_code
    except httpx.TransportError:
        return "refused"


@pytest.mark.parametrize("workers", sample([1, 2], 2))
async def test_on_sigterm_nothing_that_was_accepted_is_lost(tmp_path, report_figure, workers):
    """SIGTERM with 6 in flight: not ready first, then refused, all six right, exit code 0 within 10 s."""
    with running_server(tmp_path, "--workers", str(workers), DRAIN_SECONDS="10", COMPUTE_THREADS="1") as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=LIMITS) as client:
            # A connection that is kept would be waited for; other tests see when it is closed.
            tasks = await in_flight(client, 6, 0, Connection="close")
            await until_seen(server.url, begun(6))
            started = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            seen = []
            while server.process.poll() is None and time.monotonic() < started + 12:
                seen.append((round(time.monotonic() - started, 2), await readiness(server.port)))
                await asyncio.sleep(0.05)
            seconds = time.monotonic() - started
            for response in await asyncio.gather(*tasks):
                assert_right(response)
        report_figure(f"{workers} workers, 6 in flight: exit code {server.process.poll()} after {seconds:.1f} s")
        states = [state for moment, state in seen if moment > 0.3]
        assert states[0] == 503, seen
        assert states[-1] == "refused", seen
        assert set(states) == {503, "refused"}
        assert states == sorted(states, key=lambda state: state == "refused"), "refused, and then taken again"
        assert server.process.returncode == 0, server.log.read_text()
        assert seconds < Limit.DRAIN.number


async def test_a_request_that_cannot_finish_is_answered_in_time(tmp_path, report_figure, harder):
    """With 2 s to drain, who would take much longer is answered with 503, and the exit code is 0 within 3 s."""
    with running_server(tmp_path, DRAIN_SECONDS="2", COMPUTE_THREADS="1") as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            task = asyncio.create_task(client.post("/v1/attention", content=harder))
            await until_seen(server.url, begun(1))
            await asyncio.sleep(0.3)
            code, seconds = await asyncio.to_thread(server.stop)
            response = await task
    report_figure(f"endless work cut short: exit code {code} after {seconds:.2f} s of 2 s")
    assert response.status_code == 503, response.text
    assert response.json()["type"] == "/problems/draining"
    assert response.headers["x-request-id"] == response.json()["instance"]
    assert code == 0
    assert seconds < Limit.DRAIN_CUT_SHORT.number


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs the Debian package util-linux")
@pytest.mark.soak
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_as_the_first_process_of_a_container(tmp_path, report_figure, name):
    """As process 1 of a namespace of its own SIGTERM and SIGHUP are heard too: exit code 0 within 5 s."""
    port, log = free_port(), tmp_path / "first.log"
    command = [
        *HEARS_SIGNALS,
        "unshare",
        *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]),
        "--pid",
        "--fork",
    ]
    command += ["--kill-child", sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        (first,) = children_of(process.pid)
        (numbers,) = re.findall(r"^NSpid:\s+(.*)$", Path(f"/proc/{first}/status").read_text(), re.MULTILINE)
        assert numbers.split()[-1] == "1"
        started = time.monotonic()
        os.kill(first, signal.Signals[name])
        code, seconds = process.wait(20), time.monotonic() - started
    finally:
        process.kill()
        process.wait()
    report_figure(f"as process 1, {name}: exit code {code} after {seconds:.2f} s")
    assert code == 0, log.read_text()
    assert seconds < Limit.FIRST_PROCESS.number


async def test_a_killed_worker_takes_only_its_own_requests_with_it_and_is_replaced(tmp_path, report_figure):
    """Kill -9 of one of two: the other answers on, a new one is there within 15 s, the exit code stays 0."""
    with running_server(tmp_path, "--workers", "2", COMPUTE_THREADS="1", DRAIN_SECONDS="5") as server:
        await _both_ready(server)
        before = set(workers_of(server.process.pid))
        killed, survivor = sorted(before)
        async with (
            _connected(server, killed, survivor) as to_killed,
            _connected(server, survivor, killed) as to_survivor,
        ):
            tasks = await asyncio.gather(*(in_flight(client, CONNECTIONS, 0.1) for client in (to_killed, to_survivor)))
            os.kill(killed, signal.SIGKILL)
            started = time.monotonic()
            lost, kept = [await asyncio.gather(*each, return_exceptions=True) for each in tasks]
            assert any(isinstance(answer, httpx.TransportError) for answer in lost), "it had finished already"
            for answer in [*(each for each in lost if not isinstance(each, httpx.TransportError)), *kept]:
                assert_right(answer)
            while len(after := set(workers_of(server.process.pid))) < 2 or not after - before:
                assert time.monotonic() < started + Limit.WORKER_REPLACED.number
                await asyncio.sleep(0.05)
        seconds = time.monotonic() - started
        report_figure(f"kill -9 of one of 2 workers: nothing of the other's lost, replaced after {seconds:.1f} s")
        for _ in range(20):
            async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
                assert (await client.post("/v1/attention", json={"query": [[1]], "key": [[1]]})).status_code == 200
        assert (await asyncio.to_thread(server.stop))[0] == 0


@contextlib.asynccontextmanager
async def _connected(server, worker, other):
    """A client with CONNECTIONS connections to this worker: the other one stands still while they are taken."""
    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
        os.kill(other, signal.SIGSTOP)
        try:
            await asyncio.gather(*(client.get("/healthz") for _ in range(CONNECTIONS)))
        finally:
            os.kill(other, signal.SIGCONT)
        yield client


async def _both_ready(server):
    until = time.monotonic() + 30
    while server.log.read_text().count("Application startup complete") < 2:
        assert time.monotonic() < until
        await asyncio.sleep(0.05)


def test_workers_that_cannot_start_end_the_service_with_a_clear_error(tmp_path, report_figure):
    """A worker that fails before it serves is not started for ever: exit code 3 within 30 s, and the reason."""
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "import sys\n"
        "if 'multiprocessing.spawn' in sys.modules or '--multiprocessing-fork' in sys.argv:\n"
        "    import service.main\n"
        "    def create_app():\n"
        "        raise RuntimeError('the disk has gone')\n"
        "    service.main.create_app = create_app\n"
    )
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "service.cli", "serve", "--port", str(free_port()), "--workers", "2"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    seconds = time.monotonic() - started
    report_figure(f"workers that cannot start: exit code {ended.returncode} after {seconds:.1f} s")
    assert ended.returncode == 3, ended.stderr
    messages = [json.loads(line)["message"] for line in ended.stderr.splitlines() if line.startswith("{")]
    assert any("could not start, and no other could: stopping" in message for message in messages)
    assert "the disk has gone" in ended.stderr
    assert seconds < Limit.WORKERS_CANNOT_START.number
