"""Content codings of bodies: decompressed in pieces, so that a bomb is refused early, and compressed where it pays."""

import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import NamedTuple

import brotli

from service.errors import MalformedBody, TooLarge

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 1 << 18
"""Approximate bytes decompressed at a time, 256 KiB."""

INPUT_BYTES = 1 << 14
"""Compressed bytes given to a decompressor at once, 16 KiB: a bomb is noticed after what these expand to."""

ANY_RATIO_BYTES = 1 << 20
"""Maximum decompressed bytes at any ratio, 1 MiB: a small tensor of zeros is no bomb."""

LEVEL = 1
"""Compression level of every coding: higher ones save a few percent of numbers and take 2 to 20 times as long.

Of JSON in float64, 2.7 MB, there remain with zstd 42 % after 10 ms, br 45 % after 26 ms, gzip 48 % after 51 ms; with
levels 3, 4 and 6 there remain 46 %, 42 % and 44 % after 38, 127 and 258 ms.
"""

BROTLI_QUALITY_FOR_MANY, ZSTD_LEVEL_FOR_MANY, DEFLATE_LEVEL_FOR_MANY = 5, 9, 6

MIN_COMPRESSED_BYTES = 1 << 10
"""Minimum bytes of an answer that is compressed, 1 KiB; fewer fit into one packet anyway."""

SAMPLE_BYTES = 1 << 16
"""Bytes of a long answer that are compressed first, 64 KiB, to decide whether to compress all of it."""

MAX_COMPRESSED_RATIO = 0.75
"""Maximum ratio of compressed to plain bytes at which an answer is sent compressed.

Raw floats shrink to 90 % (float32, float16) or 96 % (float64) and take as long as computing them; JSON shrinks to half
and less, and so do raw weights of which a mask has hidden half.
"""

MAX_WINDOW_LOG2 = 23
"""Base-2 logarithm of the maximum window of zstd, 8 MiB (RFC 9659)."""

CODING_ERRORS: tuple[type[Exception], ...] = (zlib.error, brotli.error, zstd.ZstdError)


class Stream(NamedTuple):
    """One compressed stream while it is decompressed."""

    ended: Callable[[], bool]
    """Whether its end has been read and all of its content returned."""
    needs_input: Callable[[], bool]
    """Whether it needs more compressed bytes; until then `read` is given none."""
    unused: Callable[[], int]
    """Given bytes that lie behind its end."""
    read: Callable[[memoryview], bytes]
    """Returns about PIECE_BYTES decompressed bytes, or fewer."""


def _deflated(window_bits: int) -> Stream:
    """Return a stream of zlib, which keeps the input that it has not used in `unconsumed_tail`."""
    stream = zlib.decompressobj(window_bits)
    return Stream(
        ended=lambda: stream.eof,
        needs_input=lambda: not stream.unconsumed_tail,
        unused=lambda: len(stream.unused_data),
        read=lambda compressed: stream.decompress(stream.unconsumed_tail or compressed, PIECE_BYTES),
    )


def _brotli() -> Stream:
    """Return a stream of brotli, which cannot report bytes behind its end."""
    stream = brotli.Decompressor()
    return Stream(
        ended=stream.is_finished,
        needs_input=stream.can_accept_more_data,
        unused=lambda: 0,
        read=partial(stream.process, output_buffer_limit=PIECE_BYTES),
    )


def _zstandard() -> Stream:
    """Return a frame of zstd."""
    stream = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG2})
    return Stream(
        ended=lambda: stream.eof,
        needs_input=lambda: stream.needs_input,
        unused=lambda: len(stream.unused_data),
        read=lambda compressed: stream.decompress(compressed, PIECE_BYTES),
    )


def _deflate(content: bytes, window_bits: int, level: int = LEVEL) -> bytes:
    compressor = zlib.compressobj(level, wbits=window_bits)
    return compressor.compress(content) + compressor.flush()


@dataclass(frozen=True, slots=True)
class Coding:
    """One content coding: how it is decompressed and compressed."""

    open: Callable[[], Stream]
    compress: Callable[[bytes], bytes]
    many_streams: bool = False
    """Whether several compressed streams may follow one another."""


CODINGS: dict[str, Coding] = {
    "gzip": Coding(partial(_deflated, 31), partial(_deflate, window_bits=31), many_streams=True),
    "deflate": Coding(partial(_deflated, 15), partial(_deflate, window_bits=15)),
    "br": Coding(_brotli, partial(brotli.compress, quality=LEVEL)),
    "zstd": Coding(_zstandard, partial(zstd.compress, level=LEVEL), many_streams=True),
}
"""By name in Content-Encoding; deflate means the zlib format (RFC 9110, section 8.4.1.2)."""


def compress(content: bytes, encoding: str) -> bytes:
    """Return the content in a coding, by its name."""
    return CODINGS[encoding].compress(content)


def compress_for_many(content: bytes, encoding: str) -> bytes:
    """Return the content in a coding, shorter and more slowly than `compress` does: for bytes that are sent many times.

    Of 219 kB of scripts there remain 60 kB after 24 ms with br, and 60 kB after 14 ms with zstd.
    """
    if encoding == "br":
        return brotli.compress(content, quality=BROTLI_QUALITY_FOR_MANY)
    if encoding == "zstd":
        return zstd.compress(content, level=ZSTD_LEVEL_FOR_MANY)
    return _deflate(content, 31 if encoding == "gzip" else 15, DEFLATE_LEVEL_FOR_MANY)


def compress_if_shorter(content: bytes, encoding: str) -> bytes | None:
    """Return the content in a coding, or None where it shrinks by less than a quarter."""
    if len(content) < MIN_COMPRESSED_BYTES:
        return None
    sample = content[-SAMPLE_BYTES:]
    compressed = compress(sample, encoding)
    if len(compressed) > MAX_COMPRESSED_RATIO * len(sample):
        return None
    return compressed if len(sample) == len(content) else compress(content, encoding)


def decompress(content: bytes, encoding: str, limit: int, ratio: int) -> bytes:
    """Return the decompressed body.

    Raises TooLarge as soon as it exceeds `limit` bytes, or `ratio` times the compressed bytes; MalformedBody when the
    bytes are not in that coding, end early, or go on after its end.
    """
    # Unlike a list of pieces that is joined, a growing buffer holds everything once.
    whole = BytesIO()
    try:
        for piece, consumed in _pieces(content, encoding):
            _require_bounded(whole.tell() + len(piece), consumed, limit, ratio)
            whole.write(piece)
    except CODING_ERRORS as error:
        raise _malformed(encoding, f"something else: {error}") from None
    return whole.getvalue()


def _pieces(content: bytes, encoding: str) -> Iterator[tuple[bytes, int]]:
    """Yield decompressed pieces, each with the compressed bytes consumed so far, or a few more."""
    coding, view, taken = CODINGS[encoding], memoryview(content), 0
    while True:
        stream = coding.open()
        while not stream.ended():
            needs_input = stream.needs_input()
            compressed = _next_input(view, taken) if needs_input else view[:0]
            taken += len(compressed)
            piece = stream.read(compressed)
            if needs_input and not compressed and not piece and not stream.ended():
                raise _malformed(encoding, "bytes that end early")
            yield piece, taken
        taken -= stream.unused()
        if taken == len(view):
            return
        if not coding.many_streams:
            raise _malformed(encoding, f"{len(view) - taken} bytes or more after its end")


def _next_input(view: memoryview, start: int) -> memoryview:
    """Return the next input, the last byte by itself, which shows whether a stream ended before it."""
    end = start + INPUT_BYTES
    return view[start:end] if end < len(view) else view[start : max(start + 1, len(view) - 1)]


def _require_bounded(size: int, consumed: int, limit: int, ratio: int) -> None:
    if size > limit:
        raise TooLarge(
            f"expected a body of at most {limit} bytes after decompression; received more. Send less at once."
        )
    if size > ANY_RATIO_BYTES and size > ratio * consumed:
        raise TooLarge(
            f"expected a body that decompresses to at most {ratio} times its size; received {consumed} bytes that hold "
            f"{size} or more. Send it with less compression, or plain."
        )


def _malformed(encoding: str, received: str) -> MalformedBody:
    return MalformedBody(f"expected a body in the encoding {encoding}; received {received}. Compress it again.")
