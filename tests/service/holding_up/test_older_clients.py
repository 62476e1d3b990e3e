"""White space around values, HTTP/1.0, and clients that wait for 100 Continue."""

import asyncio
import json

import pytest

from tests.server import log_lines
from tests.service.holding_up.wire import chunked, connected, request, with_length
from tests.service.telemetry.scraping import scrape

BODY = json.dumps({"query": [[1.0]], "key": [[1.0]], "include": ["weights"]}).encode()

LENGTH, _ = with_length(BODY)


def post(*headers, **options):
    return request("POST", "/v1/attention", LENGTH, *headers, body=BODY, **options)


async def answer_to(server, sent):
    async with connected(server.port) as wire:
        await wire.send(sent)
        return await wire.answer()


BLANKS = ("{}: {} ", "{}:{}\t", "{}: \t {} \t ")


@pytest.mark.parametrize("form", BLANKS)
class TestBlanksAroundAValue:
    async def test_a_key(self, keyed, form):
        for name, value in (("X-API-Key", "k1"), ("Authorization", "Bearer k1")):
            assert (await answer_to(keyed, post(form.format(name, value)))).status == 200

    async def test_a_preflight(self, keyed, form):
        origin = form.format("Origin", "https://page.example")
        method = form.format("Access-Control-Request-Method", "POST")
        answer = await answer_to(keyed, request("OPTIONS", "/v1/attention", origin, method))
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, "https://page.example")

    async def test_a_trace(self, server, form):
        trace = "0af7651916cd43dd8448eb211c80319c"
        parent = form.format("traceparent", f"00-{trace}-b7ad6b7169203331-01")
        request_id = form.format("X-Request-ID", "blanks-" + str(BLANKS.index(form)))
        answer = await answer_to(server, post(parent, request_id))
        assert answer.headers["x-request-id"] == "blanks-" + str(BLANKS.index(form))
        [record] = await asyncio.to_thread(log_lines, server, answer.headers["x-request-id"])
        assert record["trace_id"] == trace

    @pytest.mark.parametrize(
        ("name", "value", "status"),
        [("Accept", "image/svg+xml", 200), ("Accept", "text/html", 406), ("Content-Type", "text/csv", 415),
         ("Content-Encoding", "identity", 200), ("Accept-Encoding", "gzip", 200), ("Request-Timeout", "5", 200),
         ("Expect", "100-continue", 200), ("Content-Type", "application/json", 200)],
    )  # fmt: skip
    async def test_a_negotiated_field(self, server, form, name, value, status):
        assert (await answer_to(server, post(form.format(name, value)))).status == status


async def test_http_1_0_has_a_stream_that_ends_with_the_connection(any_server):
    """No chunks, and the same events."""
    async with connected(any_server.port) as wire:
        await wire.send(post("Accept: text/event-stream", version="1.0"))
        answer = await wire.answer()
    assert "transfer-encoding" not in answer.headers
    assert "content-length" not in answer.headers
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    events = answer.body.decode().rstrip().split("\n\n")
    assert [event.partition("\n")[0] for event in events] == ["event: progress", "event: result"]
    assert json.loads(events[-1].partition("data: ")[2])["weights"] == [[1.0]]
    # In HTTP/1.1 it has chunks, and the connection goes on.
    answer = await answer_to(any_server, post("Accept: text/event-stream"))
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "connection" not in answer.headers


@pytest.mark.parametrize("path", ["/livez", "/v1/examples", "/openapi.json", "/docs", "/static/docs.js", "/nowhere"])
async def test_http_1_0_has_no_chunks_anywhere(server, path):
    async with connected(server.port) as wire:
        await wire.send(request("GET", path, "Connection: keep-alive", host=None, version="1.0"))
        answer = await wire.answer()
        assert "transfer-encoding" not in answer.headers
        assert answer.headers["connection"] == "close"
        assert await wire.end() == b""


async def test_http_1_0_gets_no_100_continue(any_server):
    for pause, body in ((0.1, True), (0.0, True)):
        async with connected(any_server.port) as wire:
            await wire.send(post("Expect: 100-continue", version="1.0")[: -len(BODY)], pause=pause)
            await wire.send(BODY if body else b"")
            assert (await wire.answer()).status == 200
            assert wire.interim == 0


@pytest.mark.parametrize("expectation", ["100-continue", "100-Continue", "100-continue\t"])
async def test_a_client_that_expects_100_continue_gets_it_once(any_server, expectation):
    async with connected(any_server.port) as wire:
        for _ in range(3):
            await wire.send(post(f"Expect: {expectation}")[: -len(BODY)])
            await wire.interim_answer()
            await wire.send(BODY)
            assert (await wire.answer()).status == 200
        assert wire.interim == 3


async def test_other_expectations_are_ignored(any_server):
    async with connected(any_server.port) as wire:
        await wire.send(post("Expect: 200-ok") + post("Expect: 100-continue, 200-ok") + post("Expect:"))
        assert [(await wire.answer()).status for _ in range(3)] == [200, 200, 200]
        assert wire.interim == 0


async def test_a_refusal_before_100_continue_ends_the_connection(any_server):
    """The answer says that the connection ends: the next request could not be told from the body."""
    async with connected(any_server.port) as wire:
        await wire.send(request("POST", "/nowhere", LENGTH, "Expect: 100-continue"))
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"], wire.interim) == (404, "close", 0)
        await wire.send(request("GET", "/livez"))
        assert await wire.end() == b""


async def test_a_refusal_after_the_whole_body_keeps_the_connection(any_server):
    async with connected(any_server.port) as wire:
        await wire.send(request("POST", "/nowhere", LENGTH, "Expect: 100-continue", body=BODY), pause=0.05)
        assert (await wire.answer()).status == 404
        await wire.send(request("GET", "/livez"))
        assert (await wire.answer()).status == 200


async def test_refusals_of_the_protocol_are_counted(server):
    before = scrape(server.url).total("attention_requests_total", status="501")
    async with connected(server.port) as wire:
        await wire.send(request("BREW", "/v1/attention", chunked(BODY)[0]))
        assert (await wire.answer()).status == 501
    assert scrape(server.url).total("attention_requests_total", status="501") == before + 1
