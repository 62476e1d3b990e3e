"""Content encodings of bodies: gzip and deflate, undone piece by piece, so that a bomb stops early."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from service.errors import MalformedBody, TooLarge

PIECE = 1 << 18
"""So many bytes are decompressed at a time."""

UNSUSPICIOUS = 1 << 20
"""Up to here any ratio will do: a small tensor of zeros is no bomb."""

FASTEST = 1
"""Numbers hardly shrink; more effort costs time and saves nothing."""


@dataclass(frozen=True, slots=True)
class Coding:
    """How zlib is told to write one content encoding."""

    window_bits: int
    members: bool
    """Whether several compressed streams may follow one another."""


CODINGS = {"gzip": Coding(31, members=True), "deflate": Coding(15, members=False)}
"""Deflate means the zlib format (RFC 9110, section 8.4.1.2)."""


def compress(content: bytes, encoding: str) -> bytes:
    """Return the content in an encoding."""
    compressor = zlib.compressobj(FASTEST, wbits=CODINGS[encoding].window_bits)
    return compressor.compress(content) + compressor.flush()


def decompress(content: bytes, encoding: str, limit: int, ratio: int) -> bytes:
    """Return what a body holds.

    Raises TooLarge as soon as that exceeds `limit` bytes, or `ratio` times what it was made of; MalformedBody when the
    bytes are not in that encoding, end early, or go on after its end.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        for piece, consumed in _pieces(content, encoding):
            pieces.append(piece)
            size += len(piece)
            _require_bounded(size, consumed, limit, ratio)
    except zlib.error as error:
        raise _malformed(encoding, f"something else: {error}") from None
    return b"".join(pieces)


def _pieces(content: bytes, encoding: str) -> Iterator[tuple[bytes, int]]:
    """Yield decompressed pieces, each with how many bytes have been consumed so far."""
    coding, view, taken = CODINGS[encoding], memoryview(content), 0
    while True:
        decompressor = zlib.decompressobj(coding.window_bits)
        while not decompressor.eof:
            # What is left of a piece is copied at every step, so no more than a piece is handed over at once.
            rest: bytes | memoryview = decompressor.unconsumed_tail or view[taken : taken + PIECE]
            if not decompressor.unconsumed_tail:
                taken = min(taken + PIECE, len(content))
            piece = decompressor.decompress(rest, PIECE)
            if not piece and not rest and not decompressor.eof:
                raise _malformed(encoding, "bytes that end early")
            yield piece, taken - len(decompressor.unconsumed_tail)
        taken -= len(decompressor.unused_data)
        if taken == len(content):
            return
        if not coding.members:
            raise _malformed(encoding, f"{len(content) - taken} bytes after its end")


def _require_bounded(size: int, consumed: int, limit: int, ratio: int) -> None:
    if size > limit:
        raise TooLarge(
            f"expected a body of at most {limit} bytes after decompression; received more. Send less at once."
        )
    if size > UNSUSPICIOUS and size > ratio * consumed:
        raise TooLarge(
            f"expected a body that decompresses to at most {ratio} times its size; received {consumed} bytes that hold "
            f"{size} or more. Send it with less compression, or plain."
        )


def _malformed(encoding: str, received: str) -> MalformedBody:
    return MalformedBody(f"expected a body in the encoding {encoding}; received {received}. Compress it again.")
