"""Several workers are counted together, and what one of them counted outlives it."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.processes import assert_started_at, children_of, cpu_seconds, descriptors, resident_mib
from tests.server import running_server
from tests.service.telemetry.bodies import REQUEST, SLOW
from tests.service.telemetry.scraping import scrape

WORKERS = 2
ASKED = 30
INFER = "/v2/models/dot_product/infer"
INPUTS = [{"name": name, "shape": [1, 1], "datatype": "FP32", "data": [1]} for name in ("query", "key")]


@contextmanager
def serving_workers(directory):
    """Start a server, and wait until all of its workers serve."""
    with running_server(directory, "--workers", str(WORKERS), COMPUTE_THREADS="1", DRAIN_SECONDS="2") as server:
        wait_for(server, lambda: len(workers_of(server)) == WORKERS)
        yield server
        if server.process.poll() is None:
            server.stop()  # killed, it would leave its workers behind


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of several workers that no other test sends requests to."""
    with serving_workers(tmp_path_factory.mktemp("workers")) as server:
        yield server


def workers_of(server):
    """Return the processes that serve: children that have mapped a file of the metric store."""
    return {child for child in children_of(server.process.pid) if ".cells" in maps_of(child)}


def maps_of(process):
    try:
        return Path(f"/proc/{process}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def pages_of(server):
    """Return the directory that the workers share."""
    mapped = maps_of(min(workers_of(server))).splitlines()
    [directory] = {Path(line.split()[-1]).parent for line in mapped if ".cells" in line}
    return directory


def ask(server, times):
    """Ask on a connection for each question, so that all workers get some."""
    for _ in range(times):
        assert httpx.post(f"{server.url}/v1/attention", json=REQUEST).status_code == 200
        assert httpx.post(f"{server.url}{INFER}", json={"inputs": INPUTS}).status_code == 200


def inferences(server):
    """Return how often the model was asked, as the next worker says."""
    [counted] = httpx.get(f"{server.url}/v2/models/dot_product/stats").json()["model_stats"]
    return counted["inference_count"], counted["inference_stats"]["queue"]["count"]


def wait_for(server, holds):
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, server.log.read_text()
        time.sleep(0.05)


def test_every_worker_answers_for_all(server):
    before, inferred = scrape(server.url), inferences(server)
    ask(server, ASKED)
    # A count follows its answer by some microseconds, in another process than the one that is scraped.
    wait_for(server, lambda: scrape(server.url).value("attention_in_flight") == 0)
    answers = [scrape(server.url) for _ in range(2 * WORKERS)]
    for now in answers:
        for route in ("/v1/attention", "/v2/models/{model}/infer"):
            labels = {"route": route, "method": "POST", "status": "200"}
            counted = [one.value("attention_requests_total", **labels) for one in (before, now)]
            assert counted[1] - counted[0] == ASKED
        seconds = [one.value("attention_request_seconds_bucket", le="+Inf") for one in (before, now)]
        assert seconds[1] - seconds[0] == 2 * ASKED + 1
    for _ in range(2 * WORKERS):
        assert inferences(server) == tuple(count + ASKED for count in inferred)


def test_processes_are_added_up_and_the_build_and_the_start_are_not(server):
    """A worker measures itself every second, so that what another one says of it is a second old."""
    pids = workers_of(server)

    def added_up():
        now = scrape(server.url)
        assert now.total("attention_build_info") == 1
        assert_started_at(server.process.pid, now.value("process_start_time_seconds"))
        resident = sum(map(resident_mib, pids)) * 2**20
        return (
            now.value("process_resident_memory_bytes") == pytest.approx(resident, rel=0.1)
            and now.value("process_open_fds") == pytest.approx(sum(map(descriptors, pids)), abs=3 * WORKERS)
            and now.value("process_cpu_seconds_total") == pytest.approx(sum(map(cpu_seconds, pids)), abs=0.5)
        )

    # A machine that has other things to do may let a worker measure itself later.
    wait_for(server, lambda: all(added_up() for _ in range(2 * WORKERS)))


@pytest.mark.soak
def test_what_a_killed_worker_counted_stays_and_what_it_did_is_forgotten(tmp_path):
    """One is killed while every worker is computing; nothing counted ever goes down, and nothing is left in the end."""
    with serving_workers(tmp_path) as server:
        kill_one(server)
        directory = pages_of(server)
        assert len(list(directory.glob("*.cells"))) <= WORKERS + 1, "replacements continue the files of dead workers"
        assert server.stop()[0] == 0
        assert not directory.exists()


def kill_one(server):
    """Kill a worker under load, and hold the metrics against those before."""
    ask(server, ASKED)
    stop = threading.Event()

    def keep_busy():
        while not stop.is_set():
            try:
                httpx.post(f"{server.url}/v1/attention", json=SLOW, timeout=30)
            except httpx.TransportError:
                continue  # the worker that it had asked is the one that was killed

    with ThreadPoolExecutor(2 * WORKERS) as threads:
        busy = [threads.submit(keep_busy) for _ in range(2 * WORKERS)]
        try:
            last = read_surely(server)
            wait_for(server, lambda: scrape_surely(server).value("attention_in_flight") == 2 * WORKERS)
            killed = min(workers_of(server))
            os.kill(killed, signal.SIGKILL)
            wait_for(server, lambda: killed not in workers_of(server))
            while len(workers_of(server)) < WORKERS:
                now = read_surely(server)
                fallen = {name: (last[name], now.get(name)) for name in last if now.get(name, -1) < last[name]}
                assert not fallen
                last = now
        finally:
            stop.set()
    assert all(one.exception() is None for one in busy)
    wait_for(server, lambda: scrape(server.url).value("attention_in_flight") == 0)
    assert scrape(server.url).value("attention_queued") == 0
    assert inferences(server)[0] >= ASKED
    after = read_surely(server)
    assert all(after[name] >= last[name] for name in last)


def scrape_surely(server):
    """Scrape, again if the worker that took the connection is the one that was killed."""
    for _ in range(5):
        try:
            return scrape(server.url)
        except httpx.TransportError:
            time.sleep(0.05)
    return scrape(server.url)


def read_surely(server):
    return scrape_surely(server).counts()


PREDECESSOR = """
import sys
from pathlib import Path
from service.telemetry.metrics import GAUGES, SharedMetricStore
store = SharedMetricStore(Path(sys.argv[1]), GAUGES)
store.add((store.slot(("attention_requests_total", "/v1/attention", "POST", "200")), 5))
"""


@pytest.mark.soak
def test_a_directory_that_is_given_is_gone_on_with_and_kept(tmp_path):
    subprocess.run([sys.executable, "-c", PREDECESSOR, str(tmp_path / "pages")], check=True, timeout=60)
    with running_server(tmp_path, METRICS_DIRECTORY=str(tmp_path / "pages"), DRAIN_SECONDS="1") as server:
        httpx.post(f"{server.url}/v1/attention", json=REQUEST)
        labels = {"route": "/v1/attention", "method": "POST", "status": "200"}
        assert scrape(server.url).value("attention_requests_total", **labels) == 6
        server.stop()
    assert [file.name for file in (tmp_path / "pages").glob("*.cells")] == ["0.cells"]
