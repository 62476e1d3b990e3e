"""Decoders of the request bodies that the parser would read otherwise than RFC 9112 has them.

The parser lets trailers change the connection, does not count chunk extensions, and takes the body of a request to
upgrade for another protocol.  So it reads only the heads of these requests.
"""

import re
from enum import Enum, auto

from service.errors import MalformedBody, TooLarge
from service.serving.heads import MALFORMED, MAX_HEAD_BYTES, MAX_HEADERS, TOKEN_PATTERN

EXTENSION_BYTES_PER_BODY_BYTE = 16
"""Bytes of chunk sizes and extensions that each byte of a body may bring, beside `MAX_HEAD_BYTES` in all."""

MAX_CHUNK_BYTES = 2**64 - 1
"""Largest chunk size; a larger one is malformed, as a larger Content-Length is."""

VISIBLE = rb"[^\x00-\x08\x0a-\x1f\x7f]*"
"""Any bytes but control characters; a tab is white space."""

CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)(?:[ \t]*;" + VISIBLE + rb")?")
"""RFC 9112, 7.1: the size of a chunk, and extensions, which a server must ignore when it does not know them."""

SHORT_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
"""A whole line without extensions, which is shorter than what the chunk allows."""

CHUNK_LINE_START = re.compile(rb"[0-9A-Fa-f]+(?:[ \t;\r]|\Z)")
"""The beginning of a chunk line whose end has not arrived."""

TRAILER_LINE = re.compile(TOKEN_PATTERN + rb":" + VISIBLE)
"""RFC 9112, 5: a field line."""


class Line(Enum):
    """The lines of a chunked body."""

    CHUNK = auto()
    CHUNK_END = auto()
    TRAILER = auto()


class SizedBody:
    """Decoder of a body of known length in bytes."""

    def __init__(self, length: int) -> None:
        self._remaining = length

    @property
    def complete(self) -> bool:
        """Whether the last byte of the body has been decoded."""
        return self._remaining == 0

    def decode(self, data: bytes, start: int) -> tuple[bytes, int]:
        """Return the bytes of the body in `data` from index `start` on, and the index at which the next byte stands."""
        content = data[start : start + self._remaining]
        self._remaining -= len(content)
        return content, start + len(content)


class ChunkedBody:
    """Decoder of a chunked body (RFC 9112, 7.1) that discards chunk extensions and trailers.

    The limits count the bytes of lines without their CRLF, however the lines are cut into packets: `MAX_HEAD_BYTES`
    for all trailers, and for a chunk line together with what those before it have beyond
    `EXTENSION_BYTES_PER_BODY_BYTE`.
    """

    def __init__(self) -> None:
        self.complete = False
        self._expected = Line.CHUNK
        # The beginning of a line whose end has not arrived.
        self._line = bytearray()
        # Bytes still to come of the data of a chunk.
        self._remaining = 0
        self._extension_bytes = self._trailers = self._trailer_bytes = 0

    def decode(self, data: bytes, start: int) -> tuple[bytes, int]:
        """Return the bytes of the body in `data` from index `start` on, and the index of the first byte not consumed.

        Raises MalformedBody for chunks and trailers, TooLarge for extensions and trailers over a limit.
        """
        parts: list[bytes] = []
        while start < len(data) and not self.complete:
            if self._remaining:
                part = data[start : start + self._remaining]
                start += len(part)
                parts.append(part)
                self._remaining -= len(part)
            else:
                start = self._read_line(data, start)
                if self._expected is Line.CHUNK and not self._extension_bytes:
                    start = _decode_short_chunks(data, start, parts)
        return b"".join(parts), start

    def _read_line(self, data: bytes, start: int) -> int:
        """Read the line that begins or goes on at index `start`; return the index of the first byte not consumed."""
        if self._line[-1:] == b"\r" and data[start] == ord("\n"):
            line, end = bytes(self._line[:-1]), start + 1
        else:
            found = data.find(b"\r\n", start)
            if found < 0:
                self._keep(data[start:])
                return len(data)
            line, end = bytes(self._line) + data[start:found], found + 2
        self._line.clear()
        if self._expected is Line.CHUNK:
            self._begin_chunk(line)
        elif self._expected is Line.TRAILER:
            self._discard_trailer(line)
        elif line:
            raise MalformedBody(MALFORMED)
        else:
            self._expected = Line.CHUNK
        return end

    def _keep(self, part: bytes) -> None:
        """Keep part of a line whose end has not arrived; refuse one that is too long already or begins wrongly."""
        begins = not self._line
        self._line += part
        # The last byte may be the CR of the end.
        size = len(self._line) - 1
        if self._expected is Line.CHUNK:
            self._check_extension_bytes(size)
            if begins and not CHUNK_LINE_START.match(part):
                raise MalformedBody(MALFORMED)
        elif self._expected is Line.TRAILER:
            self._check_trailer_bytes(size)
        elif self._line != b"\r":
            raise MalformedBody(MALFORMED)

    def _begin_chunk(self, line: bytes) -> None:
        self._check_extension_bytes(len(line))
        found = CHUNK_LINE.fullmatch(line)
        if found is None or (size := int(found[1], 16)) > MAX_CHUNK_BYTES:
            raise MalformedBody(MALFORMED)
        self._remaining = size
        allowed = EXTENSION_BYTES_PER_BODY_BYTE * self._remaining
        self._extension_bytes = max(0, self._extension_bytes + len(line) - allowed)
        self._expected = Line.CHUNK_END if self._remaining else Line.TRAILER

    def _discard_trailer(self, line: bytes) -> None:
        if not line:
            self.complete = True
            return
        self._check_trailer_bytes(len(line))
        self._trailer_bytes += len(line)
        self._trailers += 1
        if self._trailers > MAX_HEADERS:
            raise TooLarge(
                f"expected at most {MAX_HEADERS} trailers; received more. Leave them out: they are not read."
            )
        if not TRAILER_LINE.fullmatch(line):
            raise MalformedBody(MALFORMED)

    def _check_extension_bytes(self, more: int) -> None:
        if self._extension_bytes + more > MAX_HEAD_BYTES:
            raise TooLarge(
                f"expected chunk extensions of at most {MAX_HEAD_BYTES} bytes; received more. Leave them out."
            )

    def _check_trailer_bytes(self, more: int) -> None:
        if self._trailer_bytes + more > MAX_HEAD_BYTES:
            raise TooLarge(
                f"expected trailers of at most {MAX_HEAD_BYTES} bytes; received more. Leave them out: they are not "
                "read."
            )


def _decode_short_chunks(data: bytes, start: int, parts: list[bytes]) -> int:
    """Append the data of the chunks at index `start` that are whole in `data` and have no extensions.

    Returns the index behind them.  A million chunks of one byte would take seconds line by line.
    """
    while (found := SHORT_CHUNK_LINE.match(data, start)) is not None:
        begin = found.end()
        end = begin + int(found[1], 16)
        if end == begin or data[end : end + 2] != b"\r\n":
            break
        parts.append(data[begin:end])
        start = end + 2
    return start
