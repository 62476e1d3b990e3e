"""GET /metrics of a real server: which metrics there are, what they count, and that nobody can add names to them."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import httpx
import numpy as np
import pytest
import safetensors.numpy

from service.admission import Reason
from service.problems import PROBLEMS
from service.telemetry.metrics.families import FAMILIES, METHODS, REASONS, REFUSALS
from tests.server import running_server
from tests.service.open_inference.inference import Tensor, body_of
from tests.service.telemetry.scraping import scrape

PROMISED = {
    "attention_requests_total": ("counter", {"route", "method", "status"}),
    "attention_request_seconds": ("histogram", set()),
    "attention_in_flight": ("gauge", set()),
    "attention_queued": ("gauge", set()),
    "attention_queue_wait_seconds": ("histogram", set()),
    "attention_rejected_total": ("counter", {"reason"}),
    "attention_compute_seconds": ("histogram", {"score_model", "path"}),
    "attention_operations_total": ("counter", set()),
    "attention_bytes_total": ("counter", {"direction", "media_type"}),
}

REQUEST = {"query": [[1.0]], "key": [[2.0]], "value": [[3.0]]}

OTHER_MODEL = {"score_model": "gaussian"}

RARE = ("PROPFIND", "PURGE", "LINK", "SEARCH", "NOTIFY")
"""Methods that a parser of HTTP knows and no service has."""

WIDE = [[0.5]] * 64

SLOW = {
    "score_model": {"name": "additive", "query_weight": WIDE, "key_weight": WIDE, "score_vector": [0.5] * 64},
    "query": [[0.5]] * 2000,
    "key": [[0.5]] * 1000,
    "softcap": 3,
    "include": ["logsumexp"],
}
"""A fifth of a second of one core, or more."""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A server that nobody else counts on."""
    with running_server(tmp_path_factory.mktemp("metrics"), COMPUTE_THREADS="1", QUEUE_SIZE="1") as server:
        yield server


@pytest.fixture
def changes(own):
    """Return a function that tells by how much a sample has risen since the test began."""
    before = scrape(own.url)

    def risen(name, **labels):
        return settled(own, lambda now: now.value(name, **labels)) - before.value(name, **labels)

    return risen


def settled(server, read):
    """Return what a scrape says once two in a row agree: a count follows its answer by some microseconds."""
    last = read(scrape(server.url))
    for _ in range(100):
        now = read(scrape(server.url))
        if now == last:
            return now
        last = now
    raise AssertionError("it went on changing")


def test_there_are_these_metrics_and_no_others(own):
    httpx.post(f"{own.url}/v1/attention", json=REQUEST)
    found = scrape(own.url)
    kinds = {name.removesuffix("_total") if kind == "counter" else name: kind for name, (kind, _) in PROMISED.items()}
    assert {name: family.type for name, family in found.families.items()} == kinds
    assert all(family.documentation for family in found.families.values())
    for name, (kind, labels) in PROMISED.items():
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        for part in parts:
            samples = found.samples(name + part)
            assert samples, name
            for one in samples:
                assert set(one.labels) == labels | ({"le"} if part == "_bucket" else set())


def test_the_format_is_what_the_scraper_prefers(own):
    plain = scrape(own.url)
    assert plain.response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert plain.response.headers["vary"] == "Accept"
    modern = scrape(own.url, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert modern.response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert set(modern.families) == set(plain.families)


def test_head_has_no_body_and_other_methods_are_refused(own):
    head = httpx.head(f"{own.url}/metrics")
    assert (head.status_code, head.content) == (200, b"")
    assert httpx.post(f"{own.url}/metrics").status_code == 405


def test_a_request_is_counted_by_template_method_and_status(own, changes):
    with httpx.Client(base_url=own.url) as client:
        for _ in range(3):
            client.post("/v1/attention", json=REQUEST)
        client.post("/v1/attention", json={})
        client.get("/v1/attention")
        client.get("/v1/examples/causal")
        client.get("/v1/examples/overflow")
        client.head("/v1/examples/overflow")
        client.get("/static/problem.css")
        client.get("/static/playground/main.js")
    counted = {
        ("/v1/attention", "POST", "200"): 3,
        ("/v1/attention", "POST", "422"): 1,
        ("/v1/attention", "GET", "405"): 1,
        ("/v1/examples/{id}", "GET", "200"): 2,
        ("/v1/examples/{id}", "HEAD", "200"): 1,
        ("/static/{path}", "GET", "200"): 2,
    }
    for (route, method, status), times in counted.items():
        labels = {"route": route, "method": method, "status": status}
        assert changes("attention_requests_total", **labels) == times, labels
    assert changes("attention_request_seconds_count") == 10
    assert changes("attention_request_seconds_bucket", le="+Inf") == 10
    assert changes("attention_request_seconds_bucket", le="60.0") == 10
    assert 0 < changes("attention_request_seconds_sum") < 5


def test_strangers_can_add_no_labels(own):
    """Whatever a client makes up, paths, methods and media types, is counted under names that were there before."""
    with httpx.Client(base_url=own.url) as client:
        for number in range(30):
            made_up = f"made-up-{number}"
            client.get(f"/{made_up}")
            client.get(f"/v1/examples/{made_up}")
            client.request(
                RARE[number % len(RARE)], "/v1/attention", headers={"Content-Type": f"application/{made_up}"}
            )
            client.post(f"/v2/models/{made_up}/infer", content=b"{}")
            client.post("/v1/attention", json=REQUEST | {"score_model": made_up})
    found = scrape(own.url)
    assert "made-up" not in found.response.text.lower()
    assert found.total("attention_requests_total", route="unknown", status="404") >= 30
    assert found.total("attention_requests_total", route="/v1/attention", method="other") >= 30
    templates = set(httpx.get(f"{own.url}/openapi.json").json()["paths"])
    routes = {one.labels["route"] for one in found.samples("attention_requests_total")}
    assert routes - templates <= {"unknown", "/static/{path}", "/openapi.json"}
    methods = {one.labels["method"] for one in found.samples("attention_requests_total")}
    assert methods <= METHODS | {"other"}


def test_probes_and_scrapes_are_counted_but_not_timed(own, changes):
    for path in ("/livez", "/readyz", "/v2/health/live", "/v2/health/ready"):
        httpx.get(f"{own.url}{path}")
    assert changes("attention_requests_total", route="/livez", method="GET", status="200") == 1
    scrapes = [scrape(own.url).total("attention_requests_total", route="/metrics", status="200") for _ in range(2)]
    assert scrapes[1] - scrapes[0] == 1
    assert changes("attention_request_seconds_count") == 0
    assert scrape(own.url).value("attention_in_flight") == 0


def test_bytes_are_those_that_travelled(own, changes):
    content = b'{"query": [[1]], "key": [[1]]}'

    def chunks():
        yield content[:10]
        yield content[10:]

    with httpx.Client(base_url=own.url, headers={"Accept-Encoding": "gzip"}) as client:
        answer = client.post(
            "/v1/attention", content=content, headers={"Content-Type": "application/json; charset=utf-8"}
        )
        form = client.post(
            "/v1/attention", content=chunks(), headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        picture = client.post("/v1/attention", content=content, headers={"Accept": "image/svg+xml"})
        problem = client.post("/v1/attention", content=b"[]")
        vectors = [Tensor(name, "FP32", np.ones((3, 2))) for name in ("query", "key")]
        sent, headers = body_of(vectors, {"query", "key"}, parameters={"binary_data_output": True})
        binary = client.post(
            "/v2/models/cosine/infer", content=sent, headers=headers | {"Content-Type": "application/octet-stream"}
        )
        page = client.head("/docs")
    assert [one.status_code for one in (answer, form, picture, problem, binary, page)] == [200, 200, 200, 422, 200, 200]
    assert picture.num_bytes_downloaded < len(picture.content), "it travels compressed"
    expected = {
        ("in", "application/json"): 3 * len(content) + 2,
        ("in", "application/octet-stream"): len(sent),
        ("in", "other"): 0,
        ("out", "application/json"): answer.num_bytes_downloaded + form.num_bytes_downloaded,
        ("out", "image/svg+xml"): picture.num_bytes_downloaded,
        ("out", "application/problem+json"): problem.num_bytes_downloaded,
        ("out", "application/octet-stream"): binary.num_bytes_downloaded,
    }
    for (direction, media_type), size in expected.items():
        assert changes("attention_bytes_total", direction=direction, media_type=media_type) == size, media_type


def test_tensors_and_events_have_their_media_types(own, changes):
    tensors = safetensors.numpy.save({"query": np.ones((2, 3)), "key": np.ones((4, 3))}, {"request": "{}"})
    with httpx.Client(base_url=own.url, headers={"Accept-Encoding": "identity"}) as client:
        kind = "application/vnd.safetensors"
        stored = client.post("/v1/attention", content=tensors, headers={"Content-Type": kind, "Accept": kind})
        events = client.post("/v1/attention", json=REQUEST, headers={"Accept": "text/event-stream"})
    assert [stored.status_code, events.status_code] == [200, 200]
    assert changes("attention_bytes_total", direction="in", media_type=kind) == len(tensors)
    assert changes("attention_bytes_total", direction="out", media_type=kind) == len(stored.content)
    assert changes("attention_bytes_total", direction="out", media_type="text/event-stream") == len(events.content)
    assert scrape(own.url).value("attention_in_flight") == 0


def test_what_is_computed_is_counted_by_score_model_and_path(own, changes):
    tiled = {"query": [[0.5]] * 400, "key": [[0.25]] * 400, "value": [[1.0]] * 400, "include": ["output"]}
    bodies = {
        "/v1/attention": [REQUEST, REQUEST | OTHER_MODEL, tiled],
        "/v1/attention/estimate": [tiled],
        "/v1/attention/check": [{"request": REQUEST, "candidate": {"output": [[3.0]]}}],
        "/v1/attention/explain": [{"request": REQUEST, "query_index": 0, "key_index": 0}],
        "/v1/attention/compare": [{"base": REQUEST, "variants": [{"label": "a", "overrides": OTHER_MODEL}]}],
        "/v1/attention/merge": [{"partials": [{"output": [[1.0]], "logsumexp": [0.0]}] * 2}],
    }  # fmt: skip
    predicted = 0
    with httpx.Client(base_url=own.url) as client:
        for path, requests in bodies.items():
            for body in requests:
                assert client.post(path, json=body).status_code == 200, path
        for body in bodies["/v1/attention"]:
            predicted += client.post("/v1/attention/estimate", json=body).json()["operations"]
    counted = {
        ("scaled_dot_product", "dense"): 2,
        ("gaussian", "dense"): 2,
        ("scaled_dot_product", "tiled"): 1,
        ("scaled_dot_product", "reference"): 2,
        ("none", "merge"): 1,
    }
    for (model, path), times in counted.items():
        labels = {"score_model": model, "path": path}
        assert changes("attention_compute_seconds_count", **labels) == times, labels
        assert 0 < changes("attention_compute_seconds_sum", **labels) < 5
    assert changes("attention_operations_total") > predicted > 0


def test_operations_are_those_that_the_estimate_predicts(own, changes):
    with httpx.Client(base_url=own.url) as client:
        predicted = client.post("/v1/attention/estimate", json=REQUEST).json()["operations"]
        client.post("/v1/attention", json=REQUEST)
    assert changes("attention_operations_total") == predicted > 0


def test_statistics_of_v2_are_the_same_numbers(own, changes):
    vectors = [Tensor(name, "FP32", np.ones((300, 8))) for name in ("query", "key")]
    content, headers = body_of(vectors, {"query", "key"})
    for _ in range(4):
        assert httpx.post(f"{own.url}/v2/models/laplacian/infer", content=content, headers=headers).status_code == 200
    assert httpx.post(f"{own.url}/v2/models/laplacian/infer", content=b"{}").status_code == 422
    route = "/v2/models/{model}/infer"
    [counted] = httpx.get(f"{own.url}/v2/models/laplacian/stats").json()["model_stats"]
    stages = counted["inference_stats"]
    assert stages["success"]["count"] == changes("attention_requests_total", route=route, method="POST", status="200")
    assert stages["fail"]["count"] == changes("attention_requests_total", route=route, method="POST", status="422")
    assert stages["queue"]["count"] == 5
    labels = {"score_model": "laplacian", "path": "dense"}
    assert counted["execution_count"] == changes("attention_compute_seconds_count", **labels) == 4
    seconds = changes("attention_compute_seconds_sum", **labels)
    assert stages["compute_infer"]["ns"] == pytest.approx(seconds * 1e9, rel=0.05)


def test_waiting_and_refusing_are_seen_while_they_last(own, changes):
    """One request computes, one waits, a third is refused; then all gauges are back at zero."""
    with ThreadPoolExecutor(2) as threads:
        slow = [threads.submit(httpx.post, f"{own.url}/v1/attention", json=SLOW, timeout=60) for _ in range(2)]
        until = time.monotonic() + 10
        while scrape(own.url).value("attention_queued") != 1:
            assert time.monotonic() < until, "nothing ever waited"
        busy = scrape(own.url)
        assert busy.value("attention_in_flight") == 2
        refused = httpx.post(f"{own.url}/v1/attention", json=SLOW, timeout=60)
        assert [one.result().status_code for one in slow] == [200, 200]
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
    with httpx.Client(base_url=own.url) as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/attention", json=SLOW, timeout=0.05)
    until = time.monotonic() + 30
    # The client may have gone before the server has begun with what it had sent.
    while not changes("attention_request_seconds_count") or scrape(own.url).value("attention_in_flight"):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert scrape(own.url).value("attention_queued") == 0
    assert changes("attention_request_seconds_count") == 1
    assert changes("attention_rejected_total", reason="disconnected") == 1
    assert changes("attention_requests_total", route="/v1/attention", method="POST", status="499") == 1
    assert "unexpected failure" not in own.log.read_text(), "it is nobody's defect"


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


def test_behind_a_public_prefix_and_with_keys_metrics_stay_open_and_know_their_routes(tmp_path):
    with running_server(tmp_path, "--root-path", "/attention", API_KEYS="key") as server:
        httpx.post(f"{server.url}/attention/v1/attention", json=REQUEST, headers={"X-API-Key": "key"})
        for path in ("/v1/attention", "/v2/models/cosine/infer", "/v1/nothing"):
            assert httpx.post(f"{server.url}/attention{path}", json=REQUEST).status_code == 401
        httpx.get(f"{server.url}/attention/livez")
        found = scrape(f"{server.url}/attention")
    routes = {"/v1/attention": 2, "/v2/models/{model}/infer": 1, "unknown": 1}
    assert {route: found.total("attention_requests_total", route=route) for route in routes} == routes
    assert found.value("attention_request_seconds_count") == 4
    assert found.value("attention_rejected_total", reason="unauthorized") == 3


def test_the_families_are_those_promised():
    assert {one.name: (one.kind, set(one.labels)) for one in FAMILIES} == PROMISED
