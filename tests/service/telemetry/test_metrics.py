"""GET /metrics of a real server: which metrics there are, what they count, and that no client can add label values."""

import platform
import re
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from service.telemetry.metrics.families import FAMILIES, METHODS
from tests.processes import assert_started_at, cpu_seconds, descriptors, resident_mib
from tests.server import running_server
from tests.service.telemetry.bodies import REQUEST
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
    "attention_log_lines_dropped_total": ("counter", set()),
    "attention_memories": ("gauge", set()),
    "attention_memories_bytes": ("gauge", set()),
    "attention_memory_reads_total": ("counter", set()),
    "attention_memory_appends_total": ("counter", set()),
    "attention_memories_expired_total": ("counter", set()),
    "attention_cluster_calls_total": ("counter", set()),
    "attention_cluster_tasks_total": ("counter", set()),
    "attention_cluster_retries_total": ("counter", set()),
    "attention_cluster_seconds_total": ("counter", set()),
    "attention_cluster_bytes_total": ("counter", {"direction"}),
    "attention_shard_calls_total": ("counter", {"computed_by"}),
    "attention_shards_lost_total": ("counter", set()),
    "attention_build_info": ("gauge", {"version", "python"}),
    "process_cpu_seconds_total": ("counter", set()),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_open_fds": ("gauge", set()),
    "process_max_fds": ("gauge", set()),
    "process_start_time_seconds": ("gauge", set()),
}

RARE = ("PROPFIND", "PURGE", "LINK", "SEARCH", "NOTIFY")
"""Methods that a parser of HTTP knows and no service has."""


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


@pytest.mark.soak
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


def test_the_process_is_measured_as_the_system_sees_it(own):
    """Held against /proc by other means than the service's, within what changes between two looks."""
    pid = own.process.pid
    before = cpu_seconds(pid)
    found = scrape(own.url)
    assert before - 0.02 <= found.value("process_cpu_seconds_total") <= cpu_seconds(pid) + 0.02
    assert found.value("process_resident_memory_bytes") == pytest.approx(resident_mib(pid) * 2**20, rel=0.1)
    # The connection of the scrape is open while it is answered.
    assert found.value("process_open_fds") == pytest.approx(descriptors(pid) + 1, abs=2)
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert found.value("process_max_fds") == int(re.search(r"Max open files\s+(\d+)", limits)[1])
    assert_started_at(pid, found.value("process_start_time_seconds"))


def test_the_build_is_named(own):
    labels = {"version": version("attention-service"), "python": platform.python_version()}
    assert scrape(own.url).value("attention_build_info", **labels) == 1
