"""Slow, malformed and interrupted requests, as bytes on a socket."""

import asyncio
import json
import re
import time
from contextlib import suppress

import httpx
import pytest

from service.serving.heads import MAX_HEAD_BYTES, MAX_HEADERS
from tests.operations import Limit
from tests.server import log_lines
from tests.service.holding_up.wire import kernel_buffers
from tests.service.telemetry.scraping import until_seen

pytestmark = pytest.mark.alone

SMALL = json.dumps({"query": [[1.0]], "key": [[1.0]], "include": ["weights"]}).encode()


def post(body, *headers, path="/v1/attention", length=None):
    """Return a whole request, or one whose Content-Length is larger than its body."""
    lines = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


async def exchange(port, *pieces, pause=0.0, patience=20.0):
    """Send pieces; return the bytes until the server closes the connection, and the seconds until then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.monotonic()

    async def send():
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    sending = asyncio.create_task(send())
    try:
        answer = await asyncio.wait_for(reader.read(), patience)
    finally:
        sending.cancel()
        await close(writer)
    return answer, time.monotonic() - started


async def close(writer):
    """Close a connection, even if the server has reset it."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def problem_of(answer, status):
    """Fail unless the answer is a problem document with a request id."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), answer
    headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    problem = json.loads(body)
    assert headers["x-request-id"] == problem["instance"].lower()
    assert headers["content-type"] == ("application/json" if "error" in problem else "application/problem+json")
    assert headers["connection"] == "close"
    assert problem["status"] == status
    return problem


async def assert_alive(server):
    async with httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.get("/livez", timeout=2)).status_code == 200


SLOW_HEADS = {
    "request line": [b"GET /", *[b"a"] * 200],
    "headers": [b"GET /livez HTTP/1.1\r\n", *[b"X-Slow: 1\r\n"] * 90],
    "nothing": [],
}


async def test_a_slow_head_ends_the_connection(narrow, report_figure):
    """Slow loris, headers: with a timeout of one second each of three connections ends within three."""
    ended = await asyncio.gather(*(exchange(narrow.port, *pieces, pause=0.1) for pieces in SLOW_HEADS.values()))
    for (kind, pieces), (answer, seconds) in zip(SLOW_HEADS.items(), ended, strict=True):
        report_figure(f"slow loris: a head of which {kind} arrives byte by byte ends after {seconds:.2f} s of 1 s")
        assert 0.9 < seconds < Limit.SLOW_HEAD.number
        if pieces:
            assert problem_of(answer, 408)["type"] == "/problems/timeout"
        else:
            assert answer == b"", "no request has begun"
    await assert_alive(narrow)


async def test_a_slow_body_is_answered_with_408(narrow, report_figure):
    """Slow loris, body: with a timeout of one second it is answered within three."""
    pieces = [post(b"", length=1000), *[b" "] * 200]
    reader, writer = await asyncio.open_connection("127.0.0.1", narrow.port)
    started = time.monotonic()

    async def dribble():
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.1)

    sending = asyncio.create_task(dribble())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    seconds = time.monotonic() - started
    report_figure(f"slow loris: a body that arrives byte by byte is answered with 408 after {seconds:.2f} s of 1 s")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert 0.9 < seconds < Limit.SLOW_BODY.number
    # The rest of it is not waited for either.
    await asyncio.wait_for(reader.read(), 4)
    sending.cancel()
    await close(writer)
    await assert_alive(narrow)


@pytest.mark.parametrize("path", ["/v1/attention", "/v2/models/scaled_dot_product/infer"])
@pytest.mark.parametrize(
    ("broken", "status"),
    [
        ([b"\x16\x03\x01 not http at all\r\n\r\n"], 400),
        ([b"POST %s HTTP/1.1\r\nBad\x00header: 1\r\n\r\n"], 400),
        ([b"POST %s HTTP/1.1\r\nContent-Length: -1\r\n\r\n"], 400),
        ([b"POST %s HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n"], 400),
        ([b"POST %s HTTP/1.1\r\n" + b"X: 1\r\n" * (MAX_HEADERS + 1) + b"\r\n"], 413),
        ([b"POST %s HTTP/1.1\r\nX: ", *[b"x" * 8192] * (MAX_HEAD_BYTES // 8192 + 1)], 413),
    ],
    ids=["not HTTP", "header", "length", "chunk", "headers", "head"],
)
async def test_malformed_http_is_answered_with_a_problem(narrow, path, broken, status):
    """Errors of the protocol layer have the error format and a request id; on /v2 the member `error` as well."""
    pieces = [piece.replace(b"%s", path.encode()) for piece in broken]
    answer, _ = await exchange(narrow.port, *pieces, pause=0.01)
    problem = problem_of(answer, status)
    known = broken[0].startswith(b"POST")
    assert ("error" in problem) is (known and path.startswith("/v2"))
    await assert_alive(narrow)


async def test_a_protocol_error_has_the_request_id_of_the_client(narrow):
    """The id is in the answer and in the log."""
    answer, _ = await exchange(narrow.port, b"GET / HTTP/1.1\r\nX-Request-ID: mine-1\r\nA: 1\r\nBad\x00: 1\r\n\r\n")
    assert problem_of(answer, 400)["instance"] == "mine-1"
    (refusal,) = log_lines(narrow, "mine-1")
    assert refusal["message"] == "refused: malformed-body"


async def test_malformed_bytes_behind_a_request_leave_its_answer_whole(narrow):
    """The answer arrives whole, then the connection ends."""
    answer, _ = await exchange(narrow.port, post(SMALL) + b"\x00rubbish\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"}")
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_connection_reused_after_a_client_timeout_has_its_answers_in_order(narrow, hard):
    """A client stops waiting but keeps the connection; each answer belongs to its own request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", narrow.port)
    writer.write(post(hard, "X-Request-ID: late-1"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 0.2)
    for number in range(2, 5):
        writer.write(post(SMALL, f"X-Request-ID: late-{number}"))
    order = []
    for _ in range(4):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:-2])
        await reader.readexactly(int(fields["content-length"]))
        order.append(fields["x-request-id"])
    await close(writer)
    assert order == ["late-1", "late-2", "late-3", "late-4"]


async def test_the_rest_of_a_refused_body_is_read_within_a_limit(narrow, report_figure):
    """Of a refused body of 300 MB 129 MiB are discarded: twice the maximum body, and 1 MiB of framing."""
    sent, size = 0, 300_000_000
    reader, writer = await asyncio.open_connection("127.0.0.1", narrow.port)
    started = time.monotonic()
    writer.write(post(b"", length=size))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert head.startswith(b"HTTP/1.1 413 ")
    with suppress(ConnectionError):
        while sent < size:
            writer.write(b" " * 100_000)
            await writer.drain()
            sent += 100_000
    seconds = time.monotonic() - started
    await close(writer)
    report_figure(f"a refused body of 300 MB: {sent / 1e6:.1f} MB were taken in {seconds:.1f} s")
    assert 130_000_000 < sent < 129 * 1024**2 + kernel_buffers() + 10_000_000 < size
    assert seconds < Limit.REFUSED_BODY.number
    await assert_alive(narrow)


async def test_the_rest_of_a_small_refused_body_does_not_delay_the_next_request(narrow, report_figure):
    """It is discarded before a client can send the next request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", narrow.port)
    started = time.monotonic()
    for _ in range(5):
        writer.write(post(b"x" * 100_000, path="/nowhere"))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 404 ")
        length = int(re.search(rb"content-length: (\d+)", head)[1])
        await reader.readexactly(length)
    seconds = time.monotonic() - started
    await close(writer)
    report_figure(f"five refused bodies of 100 kB on one connection: {seconds:.2f} s")
    assert seconds < Limit.SMALL_REFUSED_BODIES.number


async def test_a_client_that_does_not_read_its_answer_is_disconnected(narrow, report_figure):
    """An answer that its client does not read holds memory for at most the body timeout."""
    body = json.dumps({"query": [[0.5]] * 900, "key": [[0.25]] * 900, "include": ["weights"]}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", narrow.port, limit=1024)
    writer.transport.pause_reading()
    writer.write(post(body))
    started = time.monotonic()
    async with httpx.AsyncClient(base_url=narrow.url) as client:
        await until_seen(narrow.url, lambda now: now.value("attention_in_flight"))
        await until_seen(narrow.url, lambda now: not now.value("attention_in_flight"))
        writer.transport.resume_reading()
        received = await asyncio.wait_for(_all_of(reader), 10)
        await close(writer)
        assert (await client.get("/livez")).status_code == 200
    report_figure(
        f"an answer of 16 MB unread for 1 s was cut off after {received} bytes, {time.monotonic() - started:.1f} s"
    )
    assert received < Limit.UNREAD_ANSWER.number


async def _all_of(reader):
    size = 0
    try:
        while chunk := await reader.read(1 << 16):
            size += len(chunk)
    except ConnectionError:
        pass
    return size
