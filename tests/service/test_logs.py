"""One line for each request, whatever became of it."""

import json
import signal
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.server import running_server

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
        ]
        assert 0 < one["milliseconds"] < 5000
        assert (one["level"], one["message"]) == ("info", "request")
    assert "123456" not in server.log.read_text()


def test_a_text_line_says_the_same(tmp_path):
    with running_server(tmp_path, LOG_FORMAT="text") as server:
        ask(server)
        lines = [line for line in lines_of(server) if " request request_id=" in line]
    assert len(lines) == 3
    assert lines[0].startswith(
        "info    request request_id=mine method=POST route=/v1/attention status=200 milliseconds="
    )


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


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [("application/json", "image/svg+xml", "application/json"), ("image/svg+xml", "application/json", "image/svg+xml")],
)
def test_of_a_header_that_comes_twice_the_first_counts(server, first, second, kind):
    answer = httpx.post(f"{server.url}/v1/attention", json=REQUEST, headers=[("Accept", first), ("Accept", second)])
    assert answer.headers["content-type"].startswith(kind)
