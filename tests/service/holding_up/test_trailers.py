"""Trailers and other parts of a request without a length: read within limits, discarded, never taken for headers."""

import asyncio
import json
from contextlib import suppress

import pytest

from service.serving.heads import MAX_HEADERS
from tests.operations import Limit
from tests.processes import peak_mib
from tests.sampling import every
from tests.server import running_server
from tests.service.holding_up.wire import chunked, connected, request

BODY = json.dumps({"query": [[1.0]], "key": [[1.0]], "include": ["weights"]}).encode()

KIB, MIB = 1024, 1024 * 1024

FLOOD_BYTES = 64 * MIB


def post(*headers, trailers=b"", path="/v1/attention"):
    header, body = chunked(BODY, trailers=trailers)
    return request("POST", path, header, *headers, body=body)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A server whose peak memory is that of these tests."""
    with running_server(tmp_path_factory.mktemp("fresh")) as running:
        yield running


async def only_answer(server, sent):
    async with connected(server.port) as wire:
        await wire.send(sent)
        answer = await wire.answer()
        await wire.send(request("GET", "/livez", "X-Request-ID: next"))
        assert (await wire.answer()).headers["x-request-id"] == "next"
        return answer


@pytest.mark.parametrize("trailer", [b"X-API-Key: k1\r\n", b"Authorization: Bearer k1\r\n", b"x-api-key:k1\r\n"])
async def test_no_key_comes_from_a_trailer(keyed, trailer):
    async with connected(keyed.port) as wire:
        await wire.send(post(trailers=trailer))
        (await wire.answer()).problem("unauthorized")
        assert await wire.end() == b""
    # A trailer does not replace the key of a header either.
    assert (await only_answer(keyed, post("X-API-Key: k1", trailers=b"X-API-Key: k2\r\n"))).status == 200


async def test_no_other_header_comes_from_a_trailer(any_server):
    trailers = b"".join(
        b"%s\r\n" % line
        for line in (b"Accept: text/html", b"Content-Type: text/plain", b"Content-Encoding: br", b"Host: other",
                     b"Request-Timeout: soon", b"X-Request-ID: trailer", b"Expect: 100-continue")
    )  # fmt: skip
    answer = await only_answer(any_server, post("X-Request-ID: header", trailers=trailers))
    assert (answer.status, answer.headers["x-request-id"]) == (200, "header")
    # A trailer does not replace a missing header.
    async with connected(any_server.port) as wire:
        await wire.send(post(trailers=b"Host: test\r\n").replace(b"Host: test\r\n", b"", 1))
        assert (await wire.answer()).status == 400


FORBIDDEN_TRAILERS = (b"Connection: close", b"connection:close\t", b"Proxy-Connection: close",
                      b"Connection: keep-alive", b"Connection: Upgrade\r\nUpgrade: h2c", b"Content-Length: 5",
                      b"Content-Length: x", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Host: a b",
                      b"Expect: 100-continue",
                      b"Trailer: X", b"TE: trailers")  # fmt: skip


@pytest.mark.parametrize("upgrade", [[], ["Connection: Upgrade", "Upgrade: h2c"]], ids=["plain", "upgrade"])
@pytest.mark.parametrize("trailer", FORBIDDEN_TRAILERS)
async def test_a_trailer_about_the_connection_or_the_framing_changes_nothing(any_server, trailer, upgrade):
    """RFC 9110, 6.5: the next request is answered as if there was no trailer, however the bytes come."""
    following = [request("POST", "/nowhere", "X-Request-ID: small"), request("GET", "/livez", "X-Request-ID: probe")]
    sent = b"".join((post(*upgrade, "X-Request-ID: trailers", trailers=trailer + b"\r\n"), *following))
    for pieces in ([sent], [sent[:-120], sent[-120:]], [sent[place : place + 1] for place in range(len(sent))]):
        async with connected(any_server.port) as wire:
            await wire.send(*pieces)
            answers = [await wire.answer() for _ in range(3)]
            assert [(answer.headers["x-request-id"], answer.status) for answer in answers] == [
                ("trailers", 200), ("small", 404), ("probe", 200)
            ]  # fmt: skip
            assert all("connection" not in answer.headers for answer in answers)


async def test_100_trailers_of_60_kib_are_read_and_one_more_is_too_many(any_server):
    one = b"X: %s\r\n" % (b"x" * 600)
    assert (await only_answer(any_server, post(trailers=one * MAX_HEADERS))).status == 200
    async with connected(any_server.port) as wire:
        await wire.send(post("X-Request-ID: mine", trailers=one * (MAX_HEADERS + 1)) + request("GET", "/livez"))
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"], answer.headers["x-request-id"]) == (413, "close", "mine")
        answer.problem("too-large")
        assert await wire.end() == b""


@pytest.mark.parametrize("kib", [65, 100])
async def test_a_trailer_over_64_kib_is_too_large_however_it_is_cut(any_server, kib):
    trailer = b"X: %s\r\n" % (b"x" * (kib * KIB))
    for piece in (4 * KIB, 1 * MIB):
        sent = post(trailers=trailer)
        async with connected(any_server.port) as wire:
            for start in range(0, len(sent), piece):
                with suppress(ConnectionError):
                    await wire.send(sent[start : start + piece])
            (await wire.answer()).problem("too-large")


@pytest.mark.parametrize("split", [None, 1, 2, 10, 4 * KIB])
@pytest.mark.parametrize(("size", "status"), [(64 * KIB, 200), (64 * KIB + 1, 413), (100_000, 413)])
async def test_one_chunk_extension_has_at_most_64_kib_however_it_is_cut(any_server, size, status, split):
    """`split` bytes of the request stand in the second packet, or all in one."""
    line = b"%x;a=" % len(BODY)
    sent = request("POST", "/v1/attention", "Transfer-Encoding: chunked")
    sent += line + b"x" * (size - len(line)) + b"\r\n"
    pieces = [sent] if split is None else [sent[:-split], sent[-split:]]
    async with connected(any_server.port) as wire:
        await wire.send(*pieces, pause=0.02)
        if status == 200:
            await wire.send(BODY + b"\r\n0\r\n\r\n")
        answer = await wire.answer()
        assert answer.status == status
        if status == 413:
            assert "chunk extensions" in answer.problem("too-large")["detail"]
            assert await wire.end() == b""


async def test_chunk_extensions_may_grow_with_the_body(any_server):
    """Signatures of chunks of 8 KiB, 170 bytes each: more than 64 KiB in all, and little beside the body."""
    piece = BODY.ljust(8 * KIB)
    chunk = b"2000;chunk-signature=%s\r\n%%s\r\n" % (b"0" * 148)
    body = chunk % piece + chunk % (b" " * 8 * KIB) * 400 + b"0;chunk-signature=0\r\n\r\n"
    answer = await only_answer(any_server, request("POST", "/v1/attention", "Transfer-Encoding: chunked", body=body))
    assert answer.status == 200


HEAD = b"POST /v1/attention HTTP/1.1\r\nHost: test\r\nX-Request-ID: endless\r\n"

CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

FLOODS = {
    "trailers": (CHUNKED + b"0\r\n", b"X: " + b"x" * 997 + b"\r\n", 413),
    "one trailer": (CHUNKED + b"0\r\nX: ", b"x" * KIB, 413),
    "the name of a trailer": (CHUNKED + b"0\r\n", b"x" * KIB, 413),
    "one chunk extension": (CHUNKED + b"5;a=", b"x" * KIB, 413),
    "chunk extensions": (CHUNKED, b"1;a=" + b"x" * 1000 + b"\r\n \r\n", 413),
    "zeros of a chunk size": (CHUNKED, b"0" * KIB, 413),
    "headers": (HEAD, b"X: " + b"x" * 997 + b"\r\n", 413),
    "one header": (HEAD + b"X: ", b"x" * KIB, 413),
    "the name of a header": (HEAD, b"x" * KIB, 413),
    "the target": (b"GET /", b"x" * KIB, 413),
    "the query": (b"GET /?", b"x" * KIB, 413),
    "an unknown method": (b"", b"X" * KIB, 413),
    "empty lines": (b"", b"\r\n" * 512, None),
    "empty lines behind a request": (request("GET", "/livez"), b"\r\n" * 512, 200),
}
"""The first bytes, the bytes that are repeated without end, and the status of the answer."""


@pytest.mark.parametrize("flood", every(2, FLOODS))
async def test_a_part_without_an_end_is_refused_at_its_limit(fresh, report_figure, flood):
    """64 MiB are sent: they are refused at about 64 KiB, and their bytes are not kept."""
    lead, piece, status = FLOODS[flood]
    before = peak_mib(fresh.process.pid)
    async with connected(fresh.port) as wire:
        sending = asyncio.create_task(_send(wire, lead, piece))
        if status is not None:
            answer = await wire.answer()
            assert answer.status == status
        if status == 413:
            assert "Send fewer or shorter" in answer.problem("too-large")["detail"] or "Leave them out" in str(
                answer.body
            )
        assert await wire.end() == b""
        await ended(sending)
    growth = peak_mib(fresh.process.pid) - before
    report_figure(f"{flood} without an end: answered with {status}, memory grew by {growth:.1f} MiB at its peak")
    assert growth < Limit.TRAILERS_GROWTH.number


async def ended(task):
    """Cancel a task and wait for its end."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _send(wire, lead, piece):
    """Send 64 MiB, or less if the server closes the connection."""
    wire.writer.write(lead)
    block = piece * 64
    with suppress(ConnectionError):
        for _ in range(FLOOD_BYTES // len(block)):
            wire.writer.write(block)
            await wire.writer.drain()


@pytest.mark.soak
async def test_endless_trailers_without_a_key_end_the_connection(keyed):
    """There is one answer, and the connection ends."""
    lead, piece, _ = FLOODS["trailers"]
    async with connected(keyed.port) as wire:
        await wire.send(lead)
        (await wire.answer()).problem("unauthorized")
        sending = asyncio.create_task(_send(wire, b"", piece))
        assert await wire.end() == b""
        await ended(sending)


@pytest.mark.soak
async def test_requests_behind_one_that_computes_are_not_read_ahead(fresh, hard, report_figure):
    """Behind half a second of work 64 MiB of small requests: they are not read before it is answered."""
    header = f"Content-Length: {len(hard)}"
    before = peak_mib(fresh.process.pid)
    async with connected(fresh.port) as wire:
        await wire.send(request("POST", "/v1/attention", header, "X-Request-ID: hard", body=hard))
        sending = asyncio.create_task(_send(wire, b"", request("GET", "/livez", host="a") * 16))
        assert (await wire.answer()).headers["x-request-id"] == "hard"
        for _ in range(2000):
            assert (await wire.answer()).status == 200
        growth = peak_mib(fresh.process.pid) - before
        await ended(sending)
        # Closing would first send the rest, which the server does not read while its answers stay unread.
        wire.writer.transport.abort()
    report_figure(f"64 MiB of requests behind another: memory grew by {growth:.1f} MiB at its peak")
    assert growth < 24
