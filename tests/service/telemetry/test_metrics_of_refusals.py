"""GET /metrics of a real server counts requests that wait, those that are refused and clients that go away."""

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import httpx
import pytest

from service.admission.observer import Reason
from service.problems import PROBLEMS
from service.telemetry.metrics.families import REASONS, REFUSALS
from tests.service.telemetry.bodies import ENDLESS, REQUEST, SLOW
from tests.service.telemetry.scraping import scrape


@contextlib.contextmanager
def endless(server):
    """Send a request that is computed until its client goes away, which is at the end."""
    body = json.dumps(ENDLESS).encode()
    head = f"POST /v1/attention HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head.encode() + body)
        yield


def wait_for(server, **gauges):
    """Wait until gauges have these values."""
    until = time.monotonic() + 60
    while {name: scrape(server.url).value(f"attention_{name}") for name in gauges} != gauges:
        assert time.monotonic() < until, scrape(server.url).response.text
        time.sleep(0.02)


def test_waiting_and_refusing_are_seen_while_they_last(own, changes):
    """One request computes until it is given up, one waits, a third is refused; then all gauges are back at zero."""
    with ThreadPoolExecutor(1) as threads:
        with endless(own):
            wait_for(own, in_flight=1)
            slow = threads.submit(httpx.post, f"{own.url}/v1/attention", json=SLOW, timeout=60)
            wait_for(own, in_flight=2, queued=1)
            refused = httpx.post(f"{own.url}/v1/attention", json=SLOW, timeout=60)
            time.sleep(0.05)
        assert slow.result().status_code == 200
    assert refused.status_code == 429
    assert changes("attention_rejected_total", reason="queue-full") == 1
    assert changes("attention_queue_wait_seconds_count") == 2
    assert changes("attention_queue_wait_seconds_sum") > 0.05
    after = scrape(own.url)
    assert (after.value("attention_in_flight"), after.value("attention_queued")) == (0, 0)


def test_a_small_request_waits_for_no_thread(own, changes):
    httpx.post(f"{own.url}/v1/attention", json=REQUEST)
    assert changes("attention_queue_wait_seconds_count") == 0
    assert changes("attention_request_seconds_count") == 1


def test_a_client_that_goes_away_is_counted_and_leaves_nothing_behind(own, changes):
    with endless(own):
        wait_for(own, in_flight=1)
    wait_for(own, in_flight=0, queued=0)
    assert changes("attention_request_seconds_count") == 1
    assert changes("attention_rejected_total", reason="disconnected") == 1
    assert changes("attention_requests_total", route="/v1/attention", method="POST", status="499") == 1
    assert "unexpected failure" not in own.log.read_text(), "a disconnect is no defect"


def test_refusals_have_their_reasons(own, changes):
    with httpx.Client(base_url=own.url) as client:
        large = client.post(
            "/v1/attention", json=REQUEST | {"query": [[1.0]] * 3000, "key": [[1.0]] * 3000, "value": None}
        )
        late = client.post("/v1/attention", json=SLOW, headers={"Request-Timeout": "0.01"})
        wrong = client.post("/v1/attention", json={})
    assert [large.status_code, late.status_code, wrong.status_code] == [413, 504, 422]
    assert changes("attention_rejected_total", reason="too-large") == 1
    assert changes("attention_rejected_total", reason="deadline-exceeded") == 1
    reasons = {one.labels["reason"] for one in scrape(own.url).samples("attention_rejected_total")}
    assert reasons == set(REASONS)


def test_what_never_reaches_the_application_is_counted_too(own, changes):
    for sent, status in (
        (b"no request at all\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n", "413"),
    ):
        with socket.create_connection(("127.0.0.1", own.port), timeout=10) as connection:
            connection.sendall(sent)
            answer = connection.makefile("rb").read()
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert changes("attention_requests_total", route="unknown", method="other", status=status) == 1
    body = answer.partition(b"\r\n\r\n")[2]
    assert changes("attention_bytes_total", direction="out", media_type="application/problem+json") >= len(body)
    assert changes("attention_in_flight") == 0


CHUNKED = b"POST /v1/attention HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("pause", [0.0, 0.2], ids=["with its head", "after its head"])
@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"no chunk at all\r\n", 400, "malformed-body"),
        (b"1\r\n{\r\n0\r\n" + b"a: b\r\n" * 101, 413, "too-large"),
    ],
    ids=["malformed chunk", "too many trailers"],
)
def test_a_body_that_breaks_is_one_request_with_the_status_that_was_sent(own, changes, pause, body, status, slug):
    logged = len(own.log.read_text().splitlines())
    with socket.create_connection(("127.0.0.1", own.port), timeout=10) as connection:
        connection.sendall(CHUNKED if pause else CHUNKED + body)
        time.sleep(pause)
        if pause:
            connection.sendall(body)
        head, _, problem = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nconnection: close" in head
    document = json.loads(problem)
    assert document["type"] == f"/problems/{slug}"
    assert changes("attention_requests_total", route="/v1/attention", method="POST", status=str(status)) == 1
    assert changes("attention_requests_total", route="/v1/attention", method="POST", status="499") == 0
    assert changes("attention_requests_total", route="unknown", method="other", status=str(status)) == 0
    assert changes("attention_bytes_total", direction="out", media_type="application/problem+json") == len(problem)
    lines = [json.loads(line) for line in own.log.read_text().splitlines()[logged:]]
    [line] = [line for line in lines if line.get("request_id") == document["instance"]]
    assert (line["route"], line["method"], line["status"]) == ("/v1/attention", "POST", status)
    assert line["response_bytes"] == len(problem)


def test_a_problem_is_a_refusal_by_its_status():
    refusing = {slug for slug, problem in PROBLEMS.items() if problem.status in {401, 403, 408, 413, 429, 503, 504}}
    assert refusing <= set(REASONS)
    assert set(get_args(Reason)) | set(REFUSALS) == set(REASONS)


@pytest.mark.alone
def test_metrics_are_read_while_everything_computes_and_the_queue_is_full(own):
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            httpx.post(f"{own.url}/v1/attention", json=SLOW, timeout=60)

    with ThreadPoolExecutor(3) as threads:
        busy = [threads.submit(ask) for _ in range(3)]
        try:
            for _ in range(5):
                assert scrape(own.url).response.elapsed.total_seconds() < 1
        finally:
            stop.set()
    assert all(one.exception() is None for one in busy)
