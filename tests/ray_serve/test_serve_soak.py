"""The application of Ray Serve answers through its proxy as everywhere, but for what docs/how-to/cluster.md says."""

import asyncio
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from tests.cluster.ground import PROJECT, PYTHON
from tests.ray_serve.ground import FILE, MAX_REPLICAS, Served
from tests.server import Server
from tests.service.open_inference.inference import as_inference, body_of, outputs_of

pytestmark = pytest.mark.soak

EXAMPLE = json.loads((Path(__file__).parents[2] / "service/examples/honor-of-kings.json").read_text())
REQUEST, OUTPUT = EXAMPLE["request"], np.array(EXAMPLE["expected"]["output"])
SECONDS = 180
"""Longest wait for what takes a moment on a machine with nothing else to do."""

UPLOAD_SECONDS = 30
"""Longest that a proxy may take for a body that nothing reads."""

QUICK = {"query": [[1.0] * 64] * 2048, "key": [[1.0] * 64] * 2048, "include": ["weights"]}
"""An answer of 32 MiB."""


LONG = json.dumps({"query": [[1]] * 16384, "key": [[1]] * 16384, "include": ["logsumexp"]}).encode()
"""About a second of work for 160 KB."""


def slow() -> bytes:
    """Return a request of 17 MB that takes seconds: 34 billion operations."""
    ones = np.ones((32, 2048, 64), int).tolist()
    request = {"query": ones, "key": ones, "include": ["logsumexp"]}
    return json.dumps(request, separators=(",", ":")).encode()


async def until(holds: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Wait until something is true, and return it."""
    ends = time.monotonic() + seconds
    while True:
        found = holds()
        if found or time.monotonic() > ends:
            assert found
            return found
        await asyncio.sleep(0.1)


def assert_problem(response: httpx.Response, status: int, slug: str) -> None:
    """Compare an error with its format; a request id is in the header once, and in the document."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    [request_id] = response.headers.get_list("x-request-id")
    assert response.json()["type"] == f"/problems/{slug}"
    assert response.json()["instance"] == request_id


async def test_honor_of_kings_as_json(replicas: httpx.AsyncClient) -> None:
    response = await replicas.post("/v1/attention", json=REQUEST, headers={"X-Request-ID": "mine"})
    assert response.status_code == 200, response.text
    assert np.allclose(response.json()["output"], OUTPUT, atol=EXAMPLE["tolerance"])
    assert response.headers.get_list("x-request-id") == ["mine"]


async def test_honor_of_kings_in_binary(replicas: httpx.AsyncClient) -> None:
    model, tensors, parameters = as_inference(REQUEST, through_options=True)
    outputs = [{"name": "output", "parameters": {"binary_data": True}}]
    content, headers = body_of(tensors, {"query", "key", "value"}, parameters=parameters, outputs=outputs)
    response = await replicas.post(f"/v2/models/{model}/infer", content=content, headers=headers)
    assert np.allclose(outputs_of(response)["output"], OUTPUT, atol=EXAMPLE["tolerance"])


async def test_honor_of_kings_as_a_stream_of_events(replicas: httpx.AsyncClient) -> None:
    response = await replicas.post("/v1/attention", json=REQUEST, headers={"Accept": "text/event-stream"})
    assert response.headers["content-type"] == "text/event-stream"
    *progress, (kind, result) = re.findall(r"event: (\w+)\ndata: (.*)\n", response.text)
    assert {name for name, _ in progress} == {"progress"}
    assert kind == "result"
    assert np.allclose(json.loads(result)["output"], OUTPUT, atol=EXAMPLE["tolerance"])


async def test_bodies_are_compressed_both_ways(replicas: httpx.AsyncClient) -> None:
    request = {"query": [[0.1] * 8] * 64, "key": [[0.2] * 8] * 64}
    headers = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    response = await replicas.post(
        "/v1/attention", content=gzip.compress(json.dumps(request).encode()), headers=headers
    )
    assert response.headers["content-encoding"] == "gzip"
    assert np.array(response.json()["weights"]).shape == (64, 64)


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "slug"),
    [
        ("GET", "/nothing", b"", 404, "not-found"),
        ("PUT", "/v1/attention", b"{}", 405, "method-not-allowed"),
        ("POST", "/v1/attention", b"{", 400, "malformed-body"),
        ("POST", "/v1/attention", b'{"query": [[1]]}', 422, "invalid-request"),
        ("POST", "/v1/attention", b" " * (33 << 20), 413, "too-large"),
    ],
)
async def test_errors_are_problem_documents(
    replicas: httpx.AsyncClient, method: str, path: str, content: bytes, status: int, slug: str
) -> None:
    response = await replicas.request(method, path, content=content, headers={"X-Request-ID": "of two words"})
    assert_problem(response, status, slug)
    assert " " not in response.headers["x-request-id"], "an id of no proper form is replaced"


async def test_head_has_the_fields_of_get_and_no_body(replicas: httpx.AsyncClient) -> None:
    head, get = await replicas.head("/v1/examples"), await replicas.get("/v1/examples")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_a_deadline_holds(replicas: httpx.AsyncClient) -> None:
    response = await replicas.post("/v1/attention", content=slow(), headers={"Request-Timeout": "0.05"})
    assert_problem(response, 504, "deadline-exceeded")


async def test_a_request_is_logged_once(served: Served, replicas: httpx.AsyncClient) -> None:
    await replicas.post("/v1/attention", json=REQUEST, headers={"X-Request-ID": "logged-once"})
    await until(lambda: served.logged('"request_id":"logged-once"'))
    await replicas.post("/v1/attention", json=REQUEST, headers={"X-Request-ID": "logged-later"})
    await until(lambda: served.logged('"request_id":"logged-later"'))
    assert len(served.logged("logged-once")) == 1


async def metric(client: httpx.AsyncClient, start: str) -> float:
    """Return the sum of the metrics whose lines start like that."""
    text = (await client.get("/metrics")).text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(start))


async def test_metrics_are_the_sum_of_the_replicas_of_a_node(replicas: httpx.AsyncClient) -> None:
    counted = 'attention_requests_total{method="POST",route="/v1/attention/estimate"'
    for _ in range(20):
        assert (await replicas.post("/v1/attention/estimate", json=REQUEST)).status_code == 200
    assert {await metric(replicas, counted) for _ in range(5)} == {20.0}


async def test_a_client_that_disconnects_ends_its_work(served: Served, replicas: httpx.AsyncClient) -> None:
    """Serve cancels the call; the application ends its work and counts it as everywhere."""
    ended = 'attention_requests_total{method="POST",route="/v1/attention",status="499"}'
    before = await metric(replicas, ended)
    headers = {"X-Request-ID": "leaves", "X-Request-Disconnect-Disabled": "?1"}
    with pytest.raises(httpx.ReadTimeout):
        await replicas.post("/v1/attention", content=slow(), headers=headers, timeout=httpx.Timeout(30, read=0.3))
    [line] = await until(lambda: served.logged('"request_id":"leaves"'))
    assert '"status":200' not in line
    assert await metric(replicas, ended) == before + 1
    assert await metric(replicas, "attention_in_flight") == 0
    assert await metric(replicas, "attention_queued") == 0


def head_of(path: str, length: int, *lines: str) -> bytes:
    """Return the head of a POST with a body of JSON."""
    fields = ("Host: serve", f"Content-Length: {length}", *lines)
    return "\r\n".join([f"POST {path} HTTP/1.1", *fields, "", ""]).encode()


async def test_an_answer_that_is_not_read_is_produced_whole(served: Served) -> None:
    """Serve has no back-pressure: what the application sends waits in the proxy, for a client that reads nothing."""
    body = json.dumps(QUICK).encode()
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        fields = (
            "Content-Type: application/json",
            "Accept: application/vnd.safetensors",
            "X-Request-ID: unread-answer",
        )
        connection.sendall(head_of("/v1/attention", len(body), *fields) + body)
        [line] = await until(lambda: served.logged('"request_id":"unread-answer"'))
        assert int(re.search(r'"response_bytes":(\d+)', line)[1]) > 32 << 20
        assert '"status":200' in line


async def test_an_upload_is_taken_before_the_application_reads(served: Served) -> None:
    """The application waits for five seconds, in which the proxy takes all of 64 MiB."""
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        started = time.monotonic()
        await asyncio.to_thread(connection.sendall, head_of("/unread", 64 << 20) + bytes(64 << 20))
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
        assert time.monotonic() - started < UPLOAD_SECONDS


async def test_continue_precedes_a_refusal(served: Served) -> None:
    """The proxy asks for the body before the application has seen its announced length."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=SECONDS) as connection:
        connection.sendall(head_of("/v1/attention", 1 << 30, "Expect: 100-continue"))
        received = b""
        while b"413" not in received:
            received += connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 ")


async def test_a_killed_replica_gives_no_wrong_answer(served: Served, report_figure: Callable[[str], None]) -> None:
    """Every request of 400 is answered right, or with 503 and Retry-After; a new replica takes the place."""
    before = await until(lambda: replicas if len(replicas := served.replicas()) >= 2 else None)
    statuses: list[int] = []

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        response = await client.post("/v1/attention", json={"query": [[number, 1.0]], "key": [[1.0, number], [0, 1]]})
        statuses.append(response.status_code)
        if response.status_code == 200:
            scores = np.array([[2.0 * number, 1.0]]) / np.sqrt(2)
            assert np.allclose(response.json()["scores"], scores)
        else:
            assert_problem(response, 503, "cluster-unavailable")
            assert int(response.headers["retry-after"]) > 0

    async with httpx.AsyncClient(base_url=served.url, timeout=SECONDS) as client:
        for round_number in range(20):
            if round_number == 5:
                os.kill(before[0], signal.SIGKILL)
            await asyncio.gather(*(ask(client, 20 * round_number + number) for number in range(20)))
    assert len(statuses) == 400
    assert statuses[-100:].count(200) > 0
    await until(lambda: len(set(served.replicas()) - {before[0]}) >= 2)
    report_figure(f"Ray Serve, a replica of {len(before)} killed under load: {statuses.count(503)} of 400 were 503")


async def test_an_application_that_ends_answers_its_requests_in_flight(served: Served) -> None:
    """It answers below the prefix of its route, where another application knows no such path afterwards."""
    async with httpx.AsyncClient(base_url=f"{served.url}/ending", timeout=SECONDS) as client:
        missing = await client.get("/nothing")
        assert (missing.status_code, missing.json()["type"]) == (404, "/ending/problems/not-found")
        in_flight = asyncio.ensure_future(client.post("/v1/attention", content=slow()))
        while not await metric(client, "attention_in_flight"):
            assert not in_flight.done()
        ending = served.end("ending")
        assert (await in_flight).status_code == 200
        assert await asyncio.to_thread(ending.wait, SECONDS) == 0
        assert_problem(await client.post("/v1/attention", json=REQUEST), 404, "not-found")


async def test_replicas_follow_the_load_within_the_limits_of_the_file(served: Served) -> None:
    """More requests than two replicas are to have start a third, and no fourth."""
    assert len(served.replicas()) >= 2
    enough = asyncio.Event()

    async def keep_asking(client: httpx.AsyncClient) -> None:
        while not enough.is_set():
            await client.post("/v1/attention", content=LONG)

    async with httpx.AsyncClient(base_url=served.url, timeout=SECONDS) as client:
        asking = [asyncio.ensure_future(keep_asking(client)) for _ in range(16)]
        try:
            await until(lambda: len(served.replicas()) == MAX_REPLICAS)
        finally:
            enough.set()
            await asyncio.gather(*asking)
    assert len(served.replicas()) == MAX_REPLICAS


async def test_serve_takes_a_few_milliseconds_more(
    replicas: httpx.AsyncClient, server: Server, report_figure: Callable[[str], None]
) -> None:
    """A figure, not a limit: the machine has other things to do."""
    figures = []
    async with httpx.AsyncClient(base_url=server.url) as plain:
        for client in (plain, replicas):
            seconds = []
            for _ in range(200):
                started = time.perf_counter()
                assert (await client.post("/v1/attention", json=REQUEST)).status_code == 200
                seconds.append(time.perf_counter() - started)
            figures.append(sorted(seconds)[100] * 1000)
    report_figure(f"Honor of Kings, median: {figures[0]:.2f} ms alone, {figures[1]:.2f} ms through Ray Serve")


HEALTH = """
import asyncio, json
from service.main import create_app
from service.ray_serve.application import OPTIONS, Replica
from service.settings import Settings

def refusal(replica):
    try:
        asyncio.run(replica.check_health())
    except RuntimeError as error:
        return str(error)

replica = Replica()
replica._service = create_app(Settings())
starting = refusal(replica)
replica._service.state.service.ready = True
print(json.dumps([starting, refusal(replica), OPTIONS]))
"""


def test_a_replica_is_healthy_when_it_is_ready_and_has_the_options_of_the_file(served: Served) -> None:
    ended = subprocess.run([PYTHON, "-c", HEALTH], capture_output=True, text=True, check=True, cwd=PROJECT, timeout=60)
    starting, ready, options = json.loads(ended.stdout)
    assert starting.startswith("expected an application that is ready")
    assert ready is None
    [deployment] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["applications"][0]["deployments"]
    own = {"ray_actor_options", "autoscaling_config"}
    assert {name: value for name, value in options.items() if name not in own}.items() <= deployment.items()
