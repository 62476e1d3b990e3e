"""One line for each request, whatever became of it."""

import json
import logging
import signal
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from service.main import create_app
from service.routes import catalogue
from service.settings import Settings
from service.telemetry.exchange import caller_of
from service.telemetry.logs import configure
from tests.server import running_server
from tests.service.telemetry.records import PARENT, TRACE, record_of

REQUEST = {"query": [[1.0]], "key": [[123456.5]]}


def ask(server):
    """An answer, a refusal and a path that does not exist; none of them sends a request id but the first."""
    with httpx.Client(base_url=server.url) as client:
        client.post("/v1/attention", json=REQUEST, headers={"X-Request-ID": "mine"})
        client.post("/v1/attention", json={})
        client.get("/nowhere")
        client.get("/livez")  # a line follows its answer, so the next answer proves the lines before it


def lines_of(server):
    return [line for line in server.log.read_text().splitlines() if "livez" not in line and "readyz" not in line]


def test_a_json_line_says_who_what_when_and_how_long(tmp_path):
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    with running_server(tmp_path) as server:
        ask(server)
        records = [json.loads(line) for line in lines_of(server)]
    records = [record for record in records if record["logger"] == "service.access"]
    assert [(one["method"], one["route"], one["status"]) for one in records] == [
        ("POST", "/v1/attention", 200),
        ("POST", "/v1/attention", 422),
        ("GET", None, 404),
    ]
    assert records[0]["request_id"] == "mine"
    assert len({one["request_id"] for one in records}) == 3
    times = [datetime.fromisoformat(one["time"]) for one in records]
    assert before <= times[0] <= times[1] <= times[2] <= datetime.now(UTC)
    for one in records:
        assert list(one) == [
            "time",
            "level",
            "logger",
            "message",
            "request_id",
            "method",
            "route",
            "status",
            "milliseconds",
            "request_bytes",
            "response_bytes",
        ]
        assert 0 < one["milliseconds"] < 5000
        assert (one["level"], one["message"]) == ("info", "request")
    assert "123456" not in server.log.read_text()


@pytest.mark.soak
def test_a_text_line_says_the_same(tmp_path):
    with running_server(tmp_path, LOG_FORMAT="text") as server:
        ask(server)
        lines = [line for line in lines_of(server) if " request request_id=" in line]
    assert len(lines) == 3
    assert lines[0].startswith(
        "info    request request_id=mine method=POST route=/v1/attention status=200 milliseconds="
    )


@pytest.mark.soak
def test_requests_are_not_logged_below_the_level(tmp_path):
    with running_server(tmp_path, LOG_LEVEL="warning") as server:
        ask(server)
    assert "/v1/attention" not in server.log.read_text()


def test_no_line_is_lost_when_the_process_is_killed(tmp_path):
    with running_server(tmp_path) as server:
        with httpx.Client(base_url=server.url) as client:
            for i in range(50):
                client.post("/v1/attention", json=REQUEST, headers={"X-Request-ID": f"request-{i}"})
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        # The line follows the answer, so that of the last one may be missing.
        logged = [json.loads(line)["request_id"] for line in lines_of(server) if '"service.access"' in line]
    assert logged[:49] == [f"request-{i}" for i in range(49)]


def test_a_line_tells_sizes_and_the_method_that_was_sent(server):
    content = json.dumps(REQUEST).encode()
    answer = httpx.post(f"{server.url}/v1/attention", content=content, headers={"X-Request-ID": "sizes"})
    httpx.head(f"{server.url}/docs", headers={"X-Request-ID": "head"})
    httpx.get(f"{server.url}/static/problem.css", headers={"X-Request-ID": "file"})
    sizes, head, file = (record_of(server, name) for name in ("sizes", "head", "file"))
    assert (sizes["request_bytes"], sizes["response_bytes"]) == (len(content), len(answer.content))
    assert (head["method"], head["status"], head["response_bytes"]) == ("HEAD", 200, 0)
    assert file["route"] == "/static/{path}"


@pytest.mark.parametrize(
    "header",
    [f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00", f"01-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-new"],
)
def test_the_trace_of_the_caller_is_in_the_line(server, header):
    name = f"traced.{header[:2]}{header[-2:]}"
    httpx.get(f"{server.url}/v1/examples", headers={"traceparent": header, "X-Request-ID": name})
    record = record_of(server, name)
    assert (record["trace_id"], record["span_id"]) == (TRACE, PARENT)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"01-{TRACE}-{PARENT}-01more",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}",
    ],
)
def test_a_trace_that_is_not_valid_is_as_good_as_none(server, header):
    """W3C Trace Context, section 3.2.2."""
    assert caller_of(header.encode()) is None
    name = f"untraced.{len(header)}.{sum(header.encode())}"
    httpx.get(f"{server.url}/v1/examples", headers={"traceparent": header, "X-Request-ID": name})
    assert not {"trace_id", "span_id"} & set(record_of(server, name))


@pytest.fixture
def _configured():
    """Set logging up as a server does, and put it back."""
    loggers = [logging.getLogger(name) for name in ("service", "uvicorn", "opentelemetry")]
    before = [(one, one.handlers, one.level, one.propagate) for one in loggers]
    configure("info", "json")
    yield
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.mark.usefixtures("_configured")
async def test_a_defect_is_logged_with_its_request_and_trace(capfd, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(catalogue, "describe_score_models", broken)
    transport = httpx.ASGITransport(app=create_app(Settings()), raise_app_exceptions=False)
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "defect"}
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        assert (await client.get("/v1/score-models", headers=headers)).status_code == 500
    records = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    [error] = [one for one in records if one["logger"] == "service.error"]
    assert [error[name] for name in ("request_id", "trace_id", "span_id")] == ["defect", TRACE, PARENT]
    assert "broken on purpose" in error["exception"]
    [access] = [one for one in records if one["logger"] == "service.access"]
    assert (access["status"], access["trace_id"]) == (500, TRACE)
