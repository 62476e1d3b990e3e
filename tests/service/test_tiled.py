"""Long sequences over HTTP: computed tile by tile, to the same numbers, in little memory, and stopped between tiles."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from attention_core import Workers
from attention_core.blockwise import blas
from service.compute import Body, Run
from service.compute.attention import prepare_estimate
from service.main import create_app
from service.settings import Settings
from tests.compare import assert_close
from tests.server import running_server
from tests.service.command_line.command import HONOR

RNG = np.random.default_rng(11)
LENGTH = 400


def drawn(*shape):
    return RNG.standard_normal(shape).round(3).tolist()


PLAIN = {name: drawn(LENGTH, 4) for name in ("query", "key", "value")}
GROUPED = {"query": drawn(1, 4, 256, 4), "key": drawn(1, 2, 256, 4), "value": drawn(1, 2, 256, 3)}
UNITS = {name: drawn(5, 4) for name in ("query_weight", "key_weight")} | {"score_vector": drawn(5)}

LONG = {
    "plain": PLAIN,
    "causal, with a soft cap and a sink": PLAIN
    | {"mask": {"causal": True}, "softcap": 2, "normalizer": {"name": "softmax", "temperature": 0.5, "sink": 1}},
    "window with ALiBi": PLAIN | {"mask": {"window": {"left": 9, "right": 2}}, "position": "alibi"},
    "heads that share keys, float32": GROUPED | {"mask": {"causal": True, "key_lengths": [200]}, "dtype": "float32"},
    "additive, with rows that see nothing": PLAIN
    | {"score_model": {"name": "additive", **UNITS}, "mask": {"causal": True, "offset": -3}},
    "sparsemax with a bias": PLAIN | {"normalizer": "sparsemax", "bias": [None, *drawn(LENGTH - 1)]},
    "sigmoid of distances, bfloat16": PLAIN
    | {"score_model": "laplacian", "normalizer": "sigmoid", "dtype": "bfloat16"},
    "rotary with a past": PLAIN | {"position": "rotary", "past_key": drawn(30, 4), "past_value": drawn(30, 4)},
}

TOLERANCES = {"float64": 1e-12, "float32": 4e-6, "bfloat16": 2**-6}
"""Both paths round; of a bfloat16 of at most 2 the last bit may differ."""


@pytest.mark.parametrize("name", LONG)
async def test_a_long_request_takes_tiles_and_gives_the_numbers_of_whole_matrices(client, name):
    softmax = LONG[name].get("normalizer") not in ("sparsemax", "sigmoid")
    wanted = ["output", "logsumexp"] if softmax else ["output"]
    tiled = await ask(client, LONG[name] | {"include": wanted}, "tiled")
    # Diagnostics need all weights at once, and are soon sent.
    dense = await ask(client, LONG[name] | {"include": [*wanted, "diagnostics"]}, "dense")
    assert tiled["notes"] == dense["notes"]
    for field in wanted:
        assert_close(tiled[field], dense[field], TOLERANCES[dense["dtype"]])


async def ask(client, request, path):
    """The answer to a request that is said to take a path."""
    estimate = (await client.post("/v1/attention/estimate", json=request)).json()
    assert (estimate["path"], estimate["allowed"]) == (path, True)
    response = await client.post("/v1/attention", json=request)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_small_request_and_one_whose_matrices_are_asked_back_stay_dense(client):
    for request in (PLAIN | {"include": ["weights"]}, PLAIN, HONOR | {"include": ["output"]}):
        estimate = (await client.post("/v1/attention/estimate", json=request)).json()
        assert estimate["path"] == "dense"


async def test_many_long_requests_at_once_are_never_crossed(client):
    keys = [[0.5]] * LENGTH

    async def number(n):
        request = {"query": keys, "key": keys, "value": [[n]] * LENGTH, "include": ["output"]}
        response = await client.post("/v1/attention", json=request)
        assert_close(response.json()["output"], [[n]] * LENGTH, 1e-9)

    await asyncio.gather(*map(number, range(24)))


def test_the_estimate_grows_with_the_threads_that_hold_tiles():
    body = Body(json.dumps(PLAIN | {"include": ["output"]}).encode())

    def predicted_bytes(threads):
        prepared = prepare_estimate(body, Settings(compute_threads=threads))
        return json.loads(prepared.complete(Run(Workers(1))).content)["bytes"]

    one, three = predicted_bytes(1), predicted_bytes(3)
    assert three > 1.5 * one


async def test_products_start_no_threads_while_the_service_runs_and_may_again_afterwards():
    switch = blas.find_thread_functions()
    if switch is None:
        pytest.skip("this NumPy is not built with OpenBLAS")
    get, put = switch
    before = get()
    try:
        put(2)
        app = create_app(Settings(log_level="warning"))
        async with app.router.lifespan_context(app):
            assert get() == 1
        assert get() == 2
    finally:
        put(before)


# --- the process ------------------------------------------------------------------------------------------------------

LISTED_THREADS = (
    "import os, sys; from service.cli import main; main(sys.argv[1:]); print(len(os.listdir('/proc/self/task')))"
)


@pytest.mark.soak
def test_the_command_line_starts_no_threads_for_products():
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    command = [sys.executable, "-c", LISTED_THREADS, "attend", "-", "--json"]
    body = json.dumps(PLAIN | {"include": ["diagnostics"]}).encode()
    printed = subprocess.run(command, input=body, env=environment, capture_output=True, check=True, timeout=60).stdout
    assert printed.splitlines()[-1] == b"1"


SLOW = {name: [[0.5]] * 90_000 for name in ("query", "key", "value")} | {"include": ["output"]}
"""Several seconds of tiles."""


@pytest.fixture
def own_server(tmp_path, monkeypatch):
    """A server of three compute threads, whatever the machine has, that was told to let BLAS start two."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    with running_server(tmp_path, COMPUTE_THREADS="3", MEMORIES_DIRECTORY="") as server:
        yield server


@pytest.fixture(scope="module")
def stopped_server(tmp_path_factory):
    """A server of three compute threads for tests that stop its computations."""
    with running_server(tmp_path_factory.mktemp("stopped"), COMPUTE_THREADS="3") as server:
        yield server


def threads(server):
    """How many threads the server has, less those of its event loop."""
    names = []
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        # A thread may end after it was listed.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            names.append((task / "comm").read_text())
    return sum(not name.startswith("libuv") for name in names)


async def test_one_setting_owns_all_threads(own_server):
    assert threads(own_server) == 1
    async with httpx.AsyncClient(base_url=own_server.url, timeout=60) as client:
        dense = PLAIN | {"include": ["diagnostics"]}
        assert (await client.post("/v1/attention", json=dense)).status_code == 200
        assert threads(own_server) in (2, 3, 4), "a compute thread, and helpers that are free"
        # Long enough for both helpers to be needed; a compute thread may not have been back in time to take it.
        for seconds in ("0.5", "2", "8"):
            await client.post("/v1/attention", json=SLOW, headers={"Request-Timeout": seconds})
            if threads(own_server) >= 4:
                break
        assert threads(own_server) in (4, 5), "two helpers have joined a compute thread for the tiles"
        tiled = PLAIN | {"include": ["output"]}
        for response in await asyncio.gather(*(client.post("/v1/attention", json=tiled) for _ in range(20))):
            assert response.status_code == 200
        assert threads(own_server) <= 1 + 3 + 2, "the event loop, three compute threads and two helpers"


def memory(server, name):
    """A line of the server's memory, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


def test_a_long_sequence_takes_little_memory(server, own_server, report_figure):
    vectors = [[0.25, -0.5]] * 8192
    request = {"query": vectors, "key": vectors, "value": vectors, "mask": {"causal": True}, "include": ["output"]}
    predicted = httpx.post(f"{server.url}/v1/attention/estimate", json=request).json()["bytes"]
    before = memory(own_server, "VmRSS")
    response = httpx.post(f"{own_server.url}/v1/attention", json=request, timeout=60)
    grown = memory(own_server, "VmHWM") - before
    assert_close(response.json()["output"], vectors, 1e-12)
    scores = 8 * 8192**2
    report_figure(f"8192 × 8192 scores over HTTP: {grown / 2**20:.0f} MiB at most, {scores >> 20} MiB if they existed")
    assert grown < scores / 8
    # Beside the predicted bytes, the body is held as lists and as arrays, and the answer is written.
    assert grown < predicted + 20 * len(response.request.content)


def processor_seconds(server):
    """What the server has computed so far."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.alone
async def test_a_deadline_ends_the_tiles_of_every_thread(stopped_server):
    async with httpx.AsyncClient(base_url=stopped_server.url, timeout=60) as client:
        started = time.monotonic()
        response = await client.post("/v1/attention", json=SLOW, headers={"Request-Timeout": "0.5"})
        took = time.monotonic() - started
    assert (response.status_code, response.json()["type"]) == (504, "/problems/deadline-exceeded")
    assert took < 1.5
    await asyncio.sleep(0.3)
    before = processor_seconds(stopped_server)
    await asyncio.sleep(0.5)
    assert processor_seconds(stopped_server) - before <= 0.05


@pytest.mark.alone
async def test_a_client_that_waits_for_tiles_keeps_no_small_request_waiting(stopped_server):
    async with httpx.AsyncClient(base_url=stopped_server.url, timeout=60) as client:
        slow = asyncio.create_task(client.post("/v1/attention", json=SLOW, headers={"Request-Timeout": "2"}))
        await asyncio.sleep(0.5)
        started = time.monotonic()
        for _ in range(10):
            assert (await client.post("/v1/attention", json=HONOR)).status_code == 200
        assert time.monotonic() - started < 1
        assert not slow.done()
        assert (await slow).status_code in (200, 504)
