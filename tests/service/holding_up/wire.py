"""HTTP/1.1 as bytes: requests are sent unchanged, answers are read strictly by RFC 9112."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ANSWER_SECONDS = 60


@dataclass
class Answer:
    """One answer; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self, slug):
        """Return the problem document; fail unless it is of this kind and has the format of every error."""
        document = json.loads(self.body)
        inference = "error" in document
        assert document["type"] == f"/problems/{slug}", document
        assert document["status"] == self.status
        assert document["instance"] == self.headers["x-request-id"]
        assert self.headers["content-type"] == ("application/json" if inference else "application/problem+json")
        assert "expected" in document["detail"]
        assert "received" in document["detail"]
        if inference:
            assert document["error"] == document["detail"]
        return document


class Wire:
    """One connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.interim = 0

    async def send(self, *pieces, pause=0.0):
        """Send pieces, each in a packet of its own."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(pause)

    async def answer(self, *, head_only=False):
        """Read one answer, and count the interim answers before it."""
        return await asyncio.wait_for(self._answer(head_only), ANSWER_SECONDS)

    async def interim_answer(self):
        """Read one interim answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), ANSWER_SECONDS)
        assert head == b"HTTP/1.1 100 Continue\r\n\r\n"
        self.interim += 1

    async def end(self):
        """Return the bytes until the server closes the connection."""
        return await asyncio.wait_for(self.reader.read(), ANSWER_SECONDS)

    async def _answer(self, head_only):
        head = await self.reader.readuntil(b"\r\n\r\n")
        line, *fields = head[:-4].decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1"
        if status == "100":
            assert not fields
            self.interim += 1
            return await self._answer(head_only)
        headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
        assert not {"content-length", "transfer-encoding"} <= headers.keys()
        return Answer(int(status), headers, b"" if head_only or status == "204" else await self._body(headers))

    async def _body(self, headers):
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") != "chunked":
            assert headers["connection"] == "close"
            return await self.reader.read()
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readline() == b"\r\n"
        return body


@asynccontextmanager
async def connected(port):
    """Connect to a server on this machine; close the connection even if the server has reset it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def request(method, path, *headers, body=b"", host="test", version="1.1"):
    """Return a request with a Host and the given header fields, each one string or bytes."""
    lines = [f"{method} {path} HTTP/{version}", *([f"Host: {host}"] if host is not None else []), *headers]
    return b"\r\n".join([line if isinstance(line, bytes) else line.encode() for line in (*lines, "", "")]) + body


def with_length(body):
    """Return the Content-Length field of a body, and the body."""
    return f"Content-Length: {len(body)}", body


def chunked(body, *, size=7, extension=b"", trailers=b""):
    """Return the header field of a chunked body, and the body in chunks of `size` bytes."""
    wire = b"".join(
        b"%x%s\r\n%s\r\n" % (len(piece), extension, piece)
        for piece in (body[start : start + size] for start in range(0, len(body), size))
    )
    return "Transfer-Encoding: chunked", wire + b"0\r\n" + trailers + b"\r\n"


def kernel_buffers():
    """Return the maximum bytes of a connection that the kernel holds for both sides."""
    return sum(int(Path(f"/proc/sys/net/ipv4/tcp_{side}mem").read_text().split()[2]) for side in "rw")
