"""Requests framed in every way, over a socket: each has exactly one answer, in order, however its bytes are cut.

``python -m tests.fuzz.framing`` starts a server of its own.  A connection is a sequence of requests whose answers are
known when they are drawn: lengths and chunks, chunk extensions, trailers, upgrades, expectations, other versions and
forms of the target; bodies that look like requests; the last may be malformed or not implemented, and what follows it
is not answered.  The bytes are cut into packets at random; some clients vanish in the middle.
"""

import asyncio
import json
import random
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.on_server import Result, Statuses, fuzz_server, run_from_command_line
from tests.service.holding_up.wire import Wire, connected

CONNECTIONS = 8

MAX_REQUESTS = 6

VANISHING_FRACTION = 0.05
"""Part of the connections whose client disconnects without reading to the end."""

CLOSING_FRACTION = 0.4
"""Part of the connections that end with a request behind which the server closes the connection."""

ATTENTION = json.dumps({"query": [[1.0]], "key": [[1.0]], "include": ["weights"]}).encode()

LOOKALIKES = (
    b"GET /livez HTTP/1.1\r\nHost: test\r\nX-Request-ID: smuggled\r\n\r\n",
    b"0\r\n\r\nGET /livez HTTP/1.1\r\nHost: test\r\nX-Request-ID: smuggled\r\n\r\n",
    b"\r\n\r\n\r\n",
    b"0",
)

ORDINARY: tuple[tuple[bytes, bytes, bytes, int], ...] = (
    (b"GET", b"/livez", b"", 200),
    (b"GET", b"http://other:8000/livez?a=b", b"", 200),
    (b"HEAD", b"/livez", b"", 200),
    (b"OPTIONS", b"*", b"", 404),
    (b"DELETE", b"/livez", b"", 405),
    (b"POST", b"/v1/attention", ATTENTION, 200),
    (b"POST", b"http://other/v1/attention", ATTENTION, 200),
    (b"POST", b"/nowhere", ATTENTION, 404),
    *((b"POST", b"/v1/attention", body, 400 if body != b"0" else 422) for body in LOOKALIKES),
    *((b"POST", b"/nowhere", body, 404) for body in LOOKALIKES),
)
"""Method, target, body and the status of the answer."""

UPGRADES = (
    (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
    (b"Upgrade: websocket", b"Connection: upgrade", b"Sec-WebSocket-Version: 13"),
    (b"Connection: keep-alive,Upgrade\t", b"Upgrade: foo/1, bar"),
)

EXTENSIONS = (b"", b"", b";a", b";a=b", b" ; a\t= b", b';a="b;\\"c"', b";signature=" + b"0" * 64)

CHUNKED = (b"Transfer-Encoding: chunked", b"transfer-encoding:CHUNKED", b"Transfer-Encoding:\tchunked\t")

TRAILERS = (b"X-Request-ID: trailer", b"Host: other", b"X-API-Key: k", b"Expect: 100-continue", b"Empty:", b"A: b \t",
            b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Encoding: gzip", b"Connection: close",
            b"Proxy-Connection: close", b"Content-Length: 7", b"Transfer-Encoding: gzip")  # fmt: skip

BROKEN_HEADS: tuple[tuple[bytes, int], ...] = (
    (b"Host: again", 400),
    (b"Content-Length: +5", 400),
    (b"Content-Length: 5\r\nContent-Length: 5", 400),
    (b"Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
    (b"Transfer-Encoding: gzip, chunked", 501),
    (b"Transfer-Encoding: identity", 501),
    (b"Transfer-Encoding: chunked, gzip", 400),
    (b"A : b", 400),
    (b"A: b\r\n c", 400),
    (b"A: \x00", 400),
    (b"A: b\nC: d", 400),
    (b"\r\n".join([b"A: b"] * 101), 413),
)
"""A header that makes a request one that is refused, and the status of the answer."""

BROKEN_CHUNKS: tuple[tuple[bytes, int], ...] = (
    (b"5 \r\nhello\r\n", 400),
    (b"-5\r\nhello\r\n", 400),
    (b"0x5\r\nhello\r\n", 400),
    (b"5\r\nhello!\r\n", 400),
    (b"5\r\nhello\n", 400),
    (b"5\nhello\r\n", 400),
    (b"FFFFFFFFFFFFFFFFF\r\nhello\r\n", 400),
    (b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n", 413),
    (b"0\r\nno trailer\r\n\r\n", 400),
)
"""Bytes in place of a chunk, and the status of the answer."""


@dataclass(frozen=True)
class Expected:
    """The answer to one request."""

    request_id: str
    status: int
    head_only: bool = False
    # The connection may end with this answer; it must.
    may_close: bool = False
    closes: bool = False


class Connections:
    """Draws the packets of a connection and the answers to them; the same seed draws the same."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._number = 0

    def next(self) -> tuple[list[bytes], list[Expected]]:
        """Return packets, and the answers to them."""
        drawn = self.random
        count = drawn.randint(1, MAX_REQUESTS)
        requests = [self._ordinary() for _ in range(count)]
        if drawn.random() < CLOSING_FRACTION:
            requests.append(drawn.choice((self._closing, self._broken_head, self._broken_body, self._unknown))())
            # A request behind the last one gets no answer.
            requests.append((self._ordinary()[0], None))
        sent = b"".join(one for one, _ in requests)
        return self._packets(sent), [expected for _, expected in requests if expected is not None]

    def _id(self) -> str:
        self._number += 1
        return f"r{self._number}"

    def _head(self, method: bytes, target: bytes, request_id: str, *more: bytes, version: bytes = b"1.1") -> bytes:
        host = self.random.choice((b"Host: test", b"host:test:80 ", b"HOST: \t[::1]:8000\t"))
        blanks = self.random.choice((b"", b" ", b"\t"))
        first = b"%s %s HTTP/%s" % (method, target, version)
        return b"\r\n".join((first, b"X-Request-ID: %s%s" % (request_id.encode(), blanks), host, *more, b"", b""))

    def _ordinary(self) -> tuple[bytes, Expected | None]:
        drawn = self.random
        method, target, body, status = drawn.choice(ORDINARY)
        request_id, headers, may_close = self._id(), list[bytes](), False
        if drawn.random() < 0.3:
            headers += drawn.choice(UPGRADES)
        sent = body
        if body and drawn.random() < 0.5:
            headers.append(drawn.choice(CHUNKED))
            sent = self._chunks(body)
        elif body or drawn.random() < 0.2:
            headers.append(b"Content-Length: %d" % len(body))
        if body and drawn.random() < 0.2:
            headers.append(b"Expect: 100-continue")
            # A refusal before 100 Continue ends the connection, unless the whole body has come.
            may_close = status in (404, 405)
        drawn.shuffle(headers)
        lines = b"\r\n" * drawn.choice((0, 0, 0, 1, 3))
        version = drawn.choice((b"1.1", b"1.1", b"1.1", b"1.2"))
        whole = lines + self._head(method, target, request_id, *headers, version=version) + sent
        return whole, Expected(request_id, status, method == b"HEAD", may_close)

    def _chunks(self, body: bytes) -> bytes:
        drawn, wire, start = self.random, bytearray(), 0
        while start < len(body):
            piece = body[start : start + drawn.randint(1, 40)]
            size = b"%x" % len(piece) if drawn.random() < 0.8 else b"00%X" % len(piece)
            wire += size + drawn.choice(EXTENSIONS) + b"\r\n" + piece + b"\r\n"
            start += len(piece)
        trailers = drawn.choices(TRAILERS, k=drawn.choice((0, 0, 0, 1, 2, 5)))
        return (
            bytes(wire)
            + b"0"
            + drawn.choice(EXTENSIONS)
            + b"\r\n"
            + b"".join(one + b"\r\n" for one in trailers)
            + b"\r\n"
        )

    def _closing(self) -> tuple[bytes, Expected]:
        drawn, request_id = self.random, self._id()
        if drawn.random() < 0.5:
            head = self._head(
                b"POST", b"/v1/attention", request_id, b"Content-Length: %d" % len(ATTENTION), version=b"1.0"
            )
            return head + ATTENTION, Expected(request_id, 200, closes=True)
        upgrade = drawn.choice((b"Connection: close", b"Connection: close, upgrade\r\nUpgrade: h2c"))
        head = self._head(b"POST", b"/v1/attention", request_id, upgrade, b"Transfer-Encoding: chunked")
        return head + self._chunks(ATTENTION), Expected(request_id, 200, closes=True)

    def _broken_head(self) -> tuple[bytes, Expected]:
        header, status = self.random.choice(BROKEN_HEADS)
        request_id = self._id()
        sent = self._head(b"POST", b"/v1/attention", request_id, header) + b"hello"
        return sent, Expected(request_id, status, closes=True)

    def _broken_body(self) -> tuple[bytes, Expected]:
        chunk, status = self.random.choice(BROKEN_CHUNKS)
        request_id, more = self._id(), self.random.choice(((), *UPGRADES))
        head = self._head(b"POST", b"/v1/attention", request_id, *more, b"Transfer-Encoding: chunked")
        return head + b"1\r\n \r\n" + chunk, Expected(request_id, status, closes=True)

    def _unknown(self) -> tuple[bytes, Expected]:
        request_id = self._id()
        if self.random.random() < 0.3:
            sent = self._head(b"CONNECT", b"test:80", request_id)
            return sent, Expected(request_id, 501, closes=True)
        method = self.random.choice((b"BREW", b"get", b"GETS", b"P", b"X" * 100))
        expected = Expected(request_id, 501, closes=True)
        return self._head(method, b"/v1/attention", request_id), expected

    def _packets(self, sent: bytes) -> list[bytes]:
        drawn = self.random
        if drawn.random() < 0.3:
            return [sent]
        cuts = sorted(drawn.sample(range(1, len(sent)), min(len(sent) - 1, drawn.choice((1, 2, 5, 20)))))
        return [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]


class Finding(Exception):
    """A connection on which other answers were received than the right ones."""


async def fuzz_connections(port: int, drawn: Connections, count: int) -> Statuses:
    """Talk on `count` connections, several at once; return how often each status was received.

    Raises Finding with the bytes sent.
    """
    statuses = Statuses()
    left = iter(range(count))

    async def one_after_another() -> None:
        for _ in left:
            packets, expected = drawn.next()
            vanishing = drawn.random.random() < VANISHING_FRACTION
            try:
                async with connected(port) as wire:
                    await _talk(wire, packets, expected, statuses, vanishing=vanishing)
            except (AssertionError, TimeoutError, asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
                raise Finding(f"{error!r}\nsent {packets}\nexpected {expected}") from error

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(one_after_another())
    return statuses


async def _talk(
    wire: Wire, packets: list[bytes], expected: list[Expected], statuses: Statuses, *, vanishing: bool
) -> None:
    sending = asyncio.create_task(_send(wire, packets))
    try:
        if vanishing:
            await wire.answer(head_only=expected[0].head_only)
            statuses["vanished"] += 1
            return
        if await _read(wire, expected, statuses):
            return
        # No further answer arrives before the next request is sent.
        await sending
        await wire.send(b"GET /livez HTTP/1.1\r\nHost: test\r\nX-Request-ID: last\r\nConnection: close\r\n\r\n")
        assert (await wire.answer()).headers["x-request-id"] == "last"
        assert await wire.end() == b""
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await sending


async def _read(wire: Wire, expected: list[Expected], statuses: Statuses) -> bool:
    """Read the answers, and fail unless they are these and no more; return whether the connection has ended."""
    for one in expected:
        answer = await wire.answer(head_only=one.head_only)
        statuses[answer.status] += 1
        assert answer.headers["x-request-id"] == one.request_id, (answer, one)
        assert answer.status == one.status, (answer, one)
        closing = answer.headers.get("connection") == "close"
        assert closing is one.closes or (closing and one.may_close), (answer, one)
        if closing:
            assert await wire.end() == b""
            return True
    return False


async def _send(wire: Wire, packets: list[bytes]) -> None:
    with suppress(ConnectionError):
        for number, packet in enumerate(packets):
            await wire.send(packet, pause=0.001 if number % 3 == 0 else 0)


def fuzz(count: int, seed: int, directory: Path, *arguments: str) -> Result:
    """Talk on `count` connections to a server of its own."""
    return fuzz_server(lambda server: fuzz_connections(server.port, Connections(seed), count), directory, *arguments)


if __name__ == "__main__":
    sys.exit(run_from_command_line(fuzz, __doc__, "connections", 5000))
