"""Spans of a real server at a real collector: who the caller was, what became of a request, nothing of its body."""

import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from pydantic import ValidationError

from service.settings import Settings
from tests.server import free_port, running_server
from tests.service.telemetry.bodies import REQUEST
from tests.service.telemetry.records import PARENT, TRACE, record_of

CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}


class Collector(ThreadingHTTPServer):
    """Keeps what it is sent."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Receiver)
        self.requests = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self):
        scopes = [scope for _, one in self.requests for part in one.resource_spans for scope in part.scope_spans]
        return [span for scope in scopes for span in scope.spans]


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, ExportTraceServiceRequest.FromString(content)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Stay quiet."""


@contextmanager
def collecting():
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """What a collector has after a server has answered and ended, and what the server logged."""
    with collecting() as collector:
        directory = tmp_path_factory.mktemp("traced")
        with running_server(directory, OTLP_ENDPOINT=collector.url, DRAIN_SECONDS="2") as server:
            with httpx.Client(base_url=server.url) as client:
                ids = {"X-Request-ID": "answered"}
                client.post("/v1/attention", json=REQUEST, headers=CALLER | ids)
                client.post("/v1/attention", json={"query": 1}, headers={"X-Request-ID": "refused"})
                client.get("/nowhere", headers={"X-Request-ID": "lost"})
                client.get("/v1/examples/causal", headers=CALLER | {"traceparent": "00-broken", "X-Request-ID": "new"})
                client.put("/v1/memories/geheim-4711", json={"key": [[1]]}, headers={"X-Request-ID": "kept"})
                client.get("/livez")
                client.get("/metrics")
            records = {name: record_of(server, name) for name in ("answered", "refused", "lost", "new", "kept")}
            server.stop()
        spans = {attributes_of(span)["attention.request_id"]: span for span in collector.spans()}
        yield collector, spans, records


def attributes_of(span):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_each_request_is_a_span_and_probes_are_none(traced):
    collector, spans, _ = traced
    assert sorted(spans) == ["answered", "kept", "lost", "new", "refused"]
    assert len(collector.spans()) == 5
    assert {path for path, _ in collector.requests} == {"/v1/traces"}
    names = {name: span.name for name, span in spans.items()}
    assert names == {
        "answered": "POST /v1/attention",
        "refused": "POST /v1/attention",
        "lost": "GET",
        "new": "GET /v1/examples/{id}",
        "kept": "PUT /v1/memories/{name}",
    }
    assert {span.kind for span in spans.values()} == {Span.SpanKind.SPAN_KIND_SERVER}
    for span in spans.values():
        assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 10e9


def test_a_span_is_below_that_of_the_caller(traced):
    _, spans, _ = traced
    answered = spans["answered"]
    assert (answered.trace_id.hex(), answered.parent_span_id.hex()) == (TRACE, PARENT)
    assert answered.trace_state == "vendor=1"
    for name in ("refused", "lost", "new"):
        assert spans[name].parent_span_id == b""
        assert spans[name].trace_id.hex() != TRACE


def test_the_log_names_the_span_of_the_server(traced):
    _, spans, records = traced
    for name, span in spans.items():
        assert (records[name]["trace_id"], records[name]["span_id"]) == (span.trace_id.hex(), span.span_id.hex())


def test_attributes_tell_what_became_of_it_and_nothing_of_its_body(traced):
    _, spans, records = traced
    assert attributes_of(spans["answered"]) == {
        "http.request.method": "POST",
        "http.route": "/v1/attention",
        "url.path": "/v1/attention",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "http.request.body.size": records["answered"]["request_bytes"],
        "http.response.body.size": records["answered"]["response_bytes"],
        "attention.request_id": "answered",
    }
    refused = attributes_of(spans["refused"])
    assert (refused["http.response.status_code"], refused["error.type"]) == (422, "invalid-request")
    assert spans["refused"].status.code == Status.STATUS_CODE_UNSET, "that is the caller's mistake"
    assert "123456" not in str(list(spans.values()))
    assert not any(span.events for span in spans.values())


def test_the_name_of_a_memory_is_not_shown(traced):
    _, spans, _ = traced
    assert attributes_of(spans["kept"])["url.path"] == "/v1/memories/{name}"
    assert "geheim" not in str(list(spans.values()))


def test_the_service_is_named(traced):
    collector, _, _ = traced
    [(_, first), *_] = collector.requests
    resource = attributes_of(first.resource_spans[0].resource)
    assert resource["service.name"] == "attention-service"
    assert resource["service.version"]


@pytest.mark.alone
def test_a_collector_that_does_not_answer_delays_no_request(tmp_path):
    with running_server(tmp_path, OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}", DRAIN_SECONDS="1") as server:
        for _ in range(20):
            assert httpx.post(f"{server.url}/v1/attention", json=REQUEST).elapsed.total_seconds() < 1
        code, seconds = server.stop()
        assert code == 0
        assert seconds < 10
        lines = server.log.read_text().splitlines()
    assert all(line.startswith("{") for line in lines), "a reader of the log expects one object a line"


def test_without_a_collector_no_span_is_made(server):
    """The log names the caller's span then; a server that made spans would name its own."""
    httpx.get(f"{server.url}/v1/examples", headers=CALLER | {"X-Request-ID": "no-collector"})
    assert record_of(server, "no-collector")["span_id"] == PARENT


def test_a_collector_needs_the_extra(monkeypatch):
    monkeypatch.setattr(
        "service.setting_types.find_spec", lambda name: None if name == "opentelemetry.sdk" else find_spec(name)
    )
    with pytest.raises(ValidationError, match=r"pip install 'attention-service\[otel\]'"):
        Settings(otlp_endpoint="http://localhost:4318")


@pytest.mark.soak
def test_without_a_collector_nothing_of_it_is_loaded():
    script = (
        "import sys; from service.main import create_app; create_app(); "
        "print(*(name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout == "\n"
