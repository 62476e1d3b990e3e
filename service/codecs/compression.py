"""Content encodings of bodies, undone piece by piece, so that a bomb stops early; and how long ones are written."""

import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Protocol

import brotli

from service.errors import MalformedBody, TooLarge

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 1 << 18
"""About so many bytes are decompressed at a time."""

FED = 1 << 14
"""So many compressed bytes are handed over at once: no bomb grows by more than these make before it is noticed."""

UNSUSPICIOUS = 1 << 20
"""Up to here any ratio will do: a small tensor of zeros is no bomb."""

FASTEST = 1
"""Of all levels: more effort saves a few percent of numbers and takes twice to twenty times as long.

Of JSON in float64, 2.7 MB, there remain with zstd 42 % after 10 ms, br 45 % after 26 ms, gzip 48 % after 51 ms; with
levels 3, 4 and 6 there remain 46 %, 42 % and 44 % after 38, 127 and 258 ms.
"""

WORTH_TRYING = 1 << 10
"""Fewer bytes fit into one packet however they are written."""

SAMPLE = 1 << 16
"""Of a long answer so many bytes are compressed to see whether the rest is worth it."""

WORTH_IT = 0.75
"""To this or less an answer has to shrink.

Raw floats shrink to 90 % (float32, float16) or 96 % (float64) and take as long as computing them; JSON shrinks to half
and less, and so do raw weights of which a mask has hidden half.
"""

LARGEST_WINDOW = 23
"""Logarithm of the most that zstd may be asked to remember, 8 MiB (RFC 9659)."""

BROKEN: tuple[type[Exception], ...] = (zlib.error, brotli.error, zstd.ZstdError)


class Stream(Protocol):
    """One compressed stream while it is undone."""

    @property
    def ended(self) -> bool:
        """Whether its end has been read and all of it been returned."""
        ...

    @property
    def hungry(self) -> bool:
        """Whether it needs more bytes; as long as it does not it is given none."""
        ...

    @property
    def unused(self) -> int:
        """How many of the bytes that it was given lie behind its end."""
        ...

    def read(self, compressed: memoryview) -> bytes:
        """Return about as many bytes as PIECE, or fewer."""
        ...


class Deflated:
    """A stream of zlib, which hands back what it could not use yet."""

    def __init__(self, window_bits: int) -> None:
        self._decompressor = zlib.decompressobj(window_bits)

    @property
    def ended(self) -> bool:
        return self._decompressor.eof

    @property
    def hungry(self) -> bool:
        return not self._decompressor.unconsumed_tail

    @property
    def unused(self) -> int:
        return len(self._decompressor.unused_data)

    def read(self, compressed: memoryview) -> bytes:
        return self._decompressor.decompress(self._decompressor.unconsumed_tail or compressed, PIECE)


class Brotli:
    """A stream of brotli, which does not tell what lies behind its end."""

    unused = 0

    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    @property
    def ended(self) -> bool:
        return self._decompressor.is_finished()

    @property
    def hungry(self) -> bool:
        return self._decompressor.can_accept_more_data()

    def read(self, compressed: memoryview) -> bytes:
        return self._decompressor.process(compressed, output_buffer_limit=PIECE)


class Zstandard:
    """A frame of zstd."""

    def __init__(self) -> None:
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: LARGEST_WINDOW}
        self._decompressor = zstd.ZstdDecompressor(options=options)

    @property
    def ended(self) -> bool:
        return self._decompressor.eof

    @property
    def hungry(self) -> bool:
        return self._decompressor.needs_input

    @property
    def unused(self) -> int:
        return len(self._decompressor.unused_data)

    def read(self, compressed: memoryview) -> bytes:
        return self._decompressor.decompress(compressed, PIECE)


def _deflate(content: bytes, window_bits: int) -> bytes:
    compressor = zlib.compressobj(FASTEST, wbits=window_bits)
    return compressor.compress(content) + compressor.flush()


@dataclass(frozen=True, slots=True)
class Coding:
    """One content encoding: how it is undone and written."""

    open: Callable[[], Stream]
    compress: Callable[[bytes], bytes]
    members: bool = False
    """Whether several compressed streams may follow one another."""


CODINGS: dict[str, Coding] = {
    "gzip": Coding(partial(Deflated, 31), partial(_deflate, window_bits=31), members=True),
    "deflate": Coding(partial(Deflated, 15), partial(_deflate, window_bits=15)),
    "br": Coding(Brotli, partial(brotli.compress, quality=FASTEST)),
    "zstd": Coding(Zstandard, partial(zstd.compress, level=FASTEST), members=True),
}
"""By name in Content-Encoding; deflate means the zlib format (RFC 9110, section 8.4.1.2)."""


def compress(content: bytes, encoding: str) -> bytes:
    """Return the content in an encoding."""
    return CODINGS[encoding].compress(content)


def compress_if_worth_it(content: bytes, encoding: str) -> bytes | None:
    """Return the content in an encoding, or None when that is hardly shorter."""
    if len(content) < WORTH_TRYING:
        return None
    sample = content[-SAMPLE:]
    compressed = compress(sample, encoding)
    if len(compressed) > WORTH_IT * len(sample):
        return None
    return compressed if len(sample) == len(content) else compress(content, encoding)


def decompress(content: bytes, encoding: str, limit: int, ratio: int) -> bytes:
    """Return what a body holds.

    Raises TooLarge as soon as that exceeds `limit` bytes, or `ratio` times what it was made of; MalformedBody when the
    bytes are not in that encoding, end early, or go on after its end.
    """
    # Unlike a list of pieces that is joined, a growing buffer holds everything once.
    whole = BytesIO()
    try:
        for piece, consumed in _pieces(content, encoding):
            _require_bounded(whole.tell() + len(piece), consumed, limit, ratio)
            whole.write(piece)
    except BROKEN as error:
        raise _malformed(encoding, f"something else: {error}") from None
    return whole.getvalue()


def _pieces(content: bytes, encoding: str) -> Iterator[tuple[bytes, int]]:
    """Yield decompressed pieces, each with how many bytes have been consumed so far, or a few more."""
    coding, view, taken = CODINGS[encoding], memoryview(content), 0
    while True:
        stream = coding.open()
        while not stream.ended:
            hungry = stream.hungry
            fed = _next(view, taken) if hungry else view[:0]
            taken += len(fed)
            piece = stream.read(fed)
            if hungry and not fed and not piece and not stream.ended:
                raise _malformed(encoding, "bytes that end early")
            yield piece, taken
        taken -= stream.unused
        if taken == len(view):
            return
        if not coding.members:
            raise _malformed(encoding, f"{len(view) - taken} bytes or more after its end")


def _next(view: memoryview, start: int) -> memoryview:
    """Return what is fed next, the last byte by itself: a stream that ends before it has something behind its end."""
    end = start + FED
    return view[start:end] if end < len(view) else view[start : max(start + 1, len(view) - 1)]


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
