"""Mutated requests to a running server: any bytes at all, to any route, never give a 500.

``python -m tests.fuzz.over_socket`` starts a server of its own.  Most requests are well-formed HTTP with a mutated body
and headers; a part of them is mutated as a whole, down to the request line.
"""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from service.specification import ENDPOINTS
from tests.fuzz.mutation import Mutator
from tests.fuzz.on_server import Result, Statuses, fuzz_server, run_from_command_line
from tests.fuzz.targets import TARGETS, corpus_of, inference_parts, safetensors_file
from tests.server import Server

CONNECTIONS = 16

RAW_FRACTION = 0.1
"""Part of the requests that is mutated as a whole."""

ANSWER_SECONDS = 60

MEMORY = "/v1/memories/fuzzed"

PUT, APPEND = f"PUT {MEMORY}", f"{MEMORY}/append"

PATHS = {
    "json": (
        *(endpoint.path for endpoint in ENDPOINTS), "/v2/models/additive/infer", "/v2/repository/index",
        PUT, APPEND, f"DELETE {MEMORY}", f"GET {MEMORY}/tensors", "GET /v1/memories?limit=2&after=a",
    ),
    "attention": ("/v1/attention", "/v1/attention/estimate", PUT),
    "safetensors": ("/v1/attention", "/v1/attention/explain", "/v1/attention/merge", PUT, APPEND),
    "inference": ("/v2/models/scaled_dot_product/infer", "/v2/models/cosine/versions/1/infer"),
}  # fmt: skip
"""Where bodies are sent: POST but where a method stands in front."""

GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"

COMPRESSED = ("gzip", "deflate", "br", "zstd")

HEADERS = {
    "Content-Type": (b"application/json", b"application/vnd.safetensors", b"application/octet-stream", b"text/csv"),
    "Content-Encoding": (b"gzip", b"deflate", b"br", b"zstd", b"identity", b"gzip, br", b"snappy"),
    "Accept": (b"image/svg+xml", b"application/json;q=0.1", b"text/event-stream", b"application/vnd.safetensors", b"*"),
    "Accept-Encoding": (b"gzip", b"br;q=1.0, zstd", b"identity;q=0", b"*;q=0", b"gzip;q=x"),
    "Request-Timeout": (b"1", b"0.001", b"-1", b"nan", b"1e999", b"abc"),
    "X-Request-ID": (b"a.b-c_1", b"x" * 200, b"\xff"),
    "Inference-Header-Content-Length": (b"0", b"17", b"-1", b"99999999999", b"1e3", b"\xb2"),
    "Authorization": (b"Bearer x", b"Basic eDp5", b"Bearer"),
    "Origin": (b"https://example.org", b"null"),
    "traceparent": (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"00-0-0-0"),
    "If-Match": (b"*", b'"a"', b'W/"a", "b"', b'"'),
    "If-None-Match": (b"*", b'"a"', b"a"),
    "Expect": (b"100-continue",),
}  # fmt: skip


class Requests:
    """Draws whole requests; the same seed draws the same."""

    def __init__(self, seed: int) -> None:
        self._mutators = {name: Mutator(corpus_of(name), seed + place) for place, name in enumerate(TARGETS)}
        self._values = Mutator([value for values in HEADERS.values() for value in values], seed)
        self._raw = Mutator([self._whole() for _ in range(200)], seed)
        self._random = self._raw.random

    def next(self) -> tuple[bytes, bool]:
        """Return a request, and whether it is well-formed enough that its connection can be used again."""
        if self._random.random() < RAW_FRACTION:
            return self._raw.next(), False
        return self._whole(), True

    def _whole(self) -> bytes:
        random = self._values.random
        name = random.choice(tuple(TARGETS))
        body, headers = self._mutators[name].next(), dict[str, bytes]()
        if name in COMPRESSED:
            headers["Content-Encoding"] = name.encode()
        if name == "safetensors":
            headers["Content-Type"], body = b"application/vnd.safetensors", safetensors_file(body)
        if name == "inference":
            length, body = inference_parts(body)
            if length is not None:
                headers["Inference-Header-Content-Length"] = length
        for header in random.sample(tuple(HEADERS), random.choice((0, 0, 0, 1, 2))):
            headers[header] = self._values.next()[:200] if random.random() < 0.2 else random.choice(HEADERS[header])
        method, _, path = random.choice(PATHS.get(name, PATHS["json"])).rpartition(" ")
        lines = [f"{method or 'POST'} {path} HTTP/1.1".encode(), b"Host: here", b"Content-Length: %d" % len(body)]
        lines += [header.encode() + b": " + _one_line(value) for header, value in headers.items()]
        return b"\r\n".join((*lines, b"", body))


def _one_line(value: bytes) -> bytes:
    return bytes(byte for byte in value if byte >= 0x20 and byte != 0x7F)


async def ask(server: Server, requests: Requests, count: int) -> Statuses:
    """Send `count` requests over several connections; return how often each status was received."""
    statuses = Statuses()
    left = iter(range(count))

    async def one_after_another() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in left:
            request, whole = requests.next()
            if not whole:
                statuses[await _answer_to_anything(server, request)] += 1
                continue
            writer.write(request)
            status, closing = await asyncio.wait_for(_answer(reader), ANSWER_SECONDS)
            statuses[status] += 1
            if closing:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(one_after_another())
    return statuses


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Return the status of an answer, and whether the connection ends with it."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if status == 100:
        return await _answer(reader)
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    if status in (204, 304):
        pass
    elif b"content-length" in fields:
        await reader.readexactly(int(fields[b"content-length"]))
    else:
        await _chunks(reader)
    return status, fields.get(b"connection") == b"close"


async def _chunks(reader: asyncio.StreamReader) -> None:
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
    await reader.readline()


async def _answer_to_anything(server: Server, request: bytes) -> int | str:
    """Send bytes that may be no request, and nothing more; return the first status, if any came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    writer.write_eof()
    with suppress(ConnectionError):
        received = await asyncio.wait_for(reader.read(), ANSWER_SECONDS)
        writer.close()
        received = received.removeprefix(GO_ON)
        if received.startswith(b"HTTP/1.1 "):
            return int(received[9:12])
    return "closed without an answer"


def fuzz(count: int, seed: int, directory: Path) -> Result:
    """Send `count` requests to a server of its own."""
    settings = {"DEADLINE_SECONDS": "20", "MEMORIES_DIRECTORY": str(directory / "memories")}
    return fuzz_server(lambda server: ask(server, Requests(seed), count), directory, **settings)


if __name__ == "__main__":
    sys.exit(run_from_command_line(fuzz, __doc__, "requests", 20_000))
