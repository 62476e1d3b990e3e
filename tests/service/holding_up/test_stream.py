"""Progress as server-sent events: some of it, then the result that everybody else gets, or the problem."""

import asyncio
import json

import httpx
import pytest

from tests.sampling import sample
from tests.server import log_lines, running_server
from tests.service.telemetry.scraping import until_seen

STREAM = {"Accept": "text/event-stream"}

SMALL = {"query": [[1.0, 2.0]], "key": [[0.5, 1.0], [1.0, 0.0]], "value": [[1.0], [2.0]]}

TILED = {
    "query": [[0.25]] * 900,
    "key": [[0.5]] * 900,
    "value": [[1.0]] * 900,
    "include": ["output"],
}


def events(text):
    """The events of a stream, comments left out."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def assert_progress(found):
    """Fail unless tiles are counted up, and the remaining time is published."""
    assert found
    counts = [progress["done"] for progress in found]
    assert counts == sorted(set(counts))
    assert {progress["total"] for progress in found} == {found[-1]["total"]}
    assert counts[-1] <= found[-1]["total"]
    assert all(progress["seconds_left"] >= 0 for progress in found)
    assert all(set(progress) == {"done", "total", "seconds_left"} for progress in found)


MANY_GRADIENTS = {
    "request": {"query": [[0.5]] * 200_000, "key": [[0.5]] * 20_000, "value": [[1.0]] * 20_000},
    "output_gradient": 1,
    "include": ["score_model"],
}
"""A request for gradients that takes many seconds."""

BASE = {key: SMALL[key] for key in ("query", "key")}

QUESTIONS = [
    ("/v1/attention", SMALL),
    ("/v1/attention", TILED),
    ("/v1/attention/compare", {"base": SMALL, "variants": [{"label": "a", "overrides": {"normalizer": "sparsemax"}}]}),
    ("/v1/attention/check", {"request": BASE, "candidate": {"weights": [[0.5, 0.5]]}}),
    ("/v1/attention/gradients", {"request": SMALL, "output_gradient": 1}),
    ("/v1/attention/gradients", {"request": TILED, "output_gradient": -1, "include": ["key"]}),
    ("/v1/attention/gradients", {"request": TILED | {"score_model": "gaussian"}, "output_gradient": [[2.0]] * 900}),
]


@pytest.mark.parametrize(("path", "asked"), QUESTIONS)
async def test_the_result_is_the_same_with_progress_before_it(client, path, asked):
    streamed = await client.post(path, json=asked, headers=STREAM)
    assert streamed.status_code == 200
    assert streamed.headers["content-type"] == "text/event-stream"
    assert streamed.headers["x-request-id"]
    *progress, (last, result) = events(streamed.text)
    assert last == "result"
    assert {name for name, _ in progress} == {"progress"}
    assert_progress([content for _, content in progress])
    assert result == (await client.post(path, json=asked)).json()


async def test_a_compressed_answer_is_no_stream(client):
    response = await client.post(
        "/v1/attention", json=TILED, headers=STREAM | {"Accept-Encoding": "gzip, identity;q=0"}
    )
    assert "content-encoding" not in response.headers
    assert events(response.text)[-1][0] == "result"


@pytest.mark.parametrize(
    ("asked", "headers", "status"),
    [
        ({"query": [[1]], "key": [[1, 2]]}, {}, 422),
        (b"{", {}, 400),
        ({"query": [[0]] * 20_000, "key": [[0]] * 20_000}, {}, 413),
        (SMALL, {"Request-Timeout": "soon"}, 400),
    ],
)
async def test_what_is_wrong_before_the_stream_is_an_ordinary_problem(client, asked, headers, status):
    content = asked if isinstance(asked, bytes) else json.dumps(asked)
    response = await client.post("/v1/attention", content=content, headers=STREAM | headers)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_deadline_that_passes_in_a_stream_is_an_event(narrow, harder):
    async with httpx.AsyncClient(base_url=narrow.url, timeout=60) as client:
        # The work may begin late, on a machine that has other things to do.
        for seconds in ("1.5", "5", "15"):
            headers = STREAM | {"Request-Timeout": seconds, "X-Request-ID": "stream-1"}
            response = await client.post("/v1/attention", content=harder, headers=headers)
            if response.status_code == 504:
                continue
            assert response.status_code == 200
            *progress, (last, problem) = events(response.text)
            if len(progress) > 1:
                break
    assert last == "error"
    assert problem["type"] == "/problems/deadline-exceeded"
    assert problem["status"] == 504
    assert problem["instance"] == "stream-1"
    assert len(progress) > 1, "progress came only at the end"
    assert_progress([content for _, content in progress])
    assert progress[-1][1]["done"] < progress[-1][1]["total"]


@pytest.mark.parametrize("path", sample(["/v1/attention", "/v1/attention/gradients"], "/v1/attention/gradients"))
async def test_a_deadline_that_passes_in_a_stream_is_a_warning_without_a_traceback(narrow, harder, path):
    content = harder if path == "/v1/attention" else json.dumps(MANY_GRADIENTS)
    async with httpx.AsyncClient(base_url=narrow.url, timeout=60) as client:
        # The deadline may pass before the work begins, on a machine that has other things to do.
        for seconds in (1.5, 5, 15):
            request_id = f"late{path.replace('/', '-')}-{seconds}"
            headers = STREAM | {"Request-Timeout": str(seconds), "X-Request-ID": request_id}
            response = await client.post(path, content=content, headers=headers)
            if response.status_code == 200:
                break
    last, problem = events(response.text)[-1]
    assert (last, problem["status"]) == ("error", 504)
    lines = log_lines(narrow, f'"{request_id}"', 2)
    assert [(line["level"], line["message"]) for line in lines] == [
        ("warning", "a stream ended in deadline-exceeded"),
        ("info", "request"),
    ]
    assert "exception" not in lines[0]


async def test_progress_comes_while_it_is_made_and_a_disconnect_frees_the_thread(narrow, harder, hard):
    async with httpx.AsyncClient(base_url=narrow.url, timeout=30) as client:
        seen = 0
        async with client.stream("POST", "/v1/attention", content=harder, headers=STREAM) as response:
            async for line in response.aiter_lines():
                seen += line == "event: progress"
                if seen == 3:
                    break
        # The only thread is free again, long before that work would have ended.
        answer = await asyncio.wait_for(client.post("/v1/attention", content=hard), 15)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("prefix", sample(["", "/long/way"], ""))
async def test_a_client_that_leaves_a_stream_is_no_defect(tmp_path, harder, prefix):
    """One line in the log, which is no error, on the fast path and below a public prefix, where requests take none."""
    with running_server(tmp_path, *(["--root-path", prefix] if prefix else [])) as server:
        async with httpx.AsyncClient(base_url=server.url + prefix, timeout=30) as client:
            headers = STREAM | {"X-Request-ID": "gone"}
            async with client.stream("POST", "/v1/attention", content=harder, headers=headers) as response:
                await anext(response.aiter_lines())
        await until_seen(server.url, lambda now: now.value("attention_in_flight") == 0)
        lines = log_lines(server, "gone")
    assert [line["level"] for line in lines] == ["info"]
