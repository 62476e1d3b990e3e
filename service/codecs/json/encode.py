"""From a document to bytes.

The JSON writer keeps the interpreter to itself while it writes, so what is large is written in pieces, between which
other threads get their turn: some rows of an array, some items of a list.
"""

from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from service.codecs.json.arrays import plain

PIECE = 1 << 15
"""About so many numbers are written at once: one millisecond."""


def encode(document: Mapping[str, Any]) -> bytes:
    """Return strict JSON; in arrays −∞ becomes null, NaN "NaN" and +∞ "Infinity".

    Numbers are the shortest that read back to the same value in the array's own type.
    """
    if _weight(document) <= PIECE:
        return _dumps(document)
    # Unlike a list of pieces that is joined, a growing buffer holds everything once.
    written = BytesIO()
    written.writelines(_pieces(document))
    return written.getvalue()


def number(value: float | None) -> Any:
    """Return a number that stands alone in a document as it is written in an array; None stays."""
    return None if value is None else plain(np.asarray(value))


def _pieces(value: Any) -> Iterator[bytes]:
    if _weight(value) <= PIECE:
        yield _dumps(value)
    elif isinstance(value, Mapping):
        for place, (name, member) in enumerate(value.items()):
            yield (b"," if place else b"{") + orjson.dumps(name) + b":"
            yield from _pieces(member)
        yield b"}"
    else:
        yield from _row_pieces(value)


def _row_pieces(rows: list[Any] | NDArray[Any]) -> Iterator[bytes]:
    """Write a long list or array, as many rows at once as make a piece; a row may be several."""
    step = PIECE // _weight(rows[0])
    for start in range(0, len(rows), max(1, step)):
        yield b"," if start else b"["
        if step:
            yield _dumps(rows[start : start + step])[1:-1]
        else:
            yield from _pieces(rows[start])
    yield b"]"


def _weight(value: Any) -> int:
    """Return about how many numbers take as long to write; items of a list are taken to be alike."""
    if isinstance(value, np.ndarray):
        return value.size + 1
    if isinstance(value, Mapping):
        return 1 + sum(map(_weight, value.values()))
    if isinstance(value, list) and value:
        return 1 + len(value) * _weight(value[0])
    return 1


def _dumps(value: Any) -> bytes:
    return _array_text(value) if isinstance(value, np.ndarray) else orjson.dumps(value, default=_written)


def _written(value: Any) -> Any:
    """Write what the JSON writer does not know: arrays, and mappings that are no dict."""
    return orjson.Fragment(_array_text(value)) if isinstance(value, np.ndarray) else dict(value)


def _array_text(array: NDArray[Any]) -> bytes:
    # The writer makes every non-finite number null, which is right for −∞ alone.
    if array.dtype.kind == "f" and not (array < np.inf).all():
        return _spelled_text(array)
    return orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)


def _spelled_text(array: NDArray[Any]) -> bytes:
    """Write an array with NaN or +∞, for which its two largest numbers stand in unless it has them itself."""
    largest = np.finfo(array.dtype).max
    stand_ins = np.array([largest, np.nextafter(largest, array.dtype.type(0))])
    finite = np.isfinite(array)
    if (np.abs(array, where=finite, out=np.zeros_like(array)) >= stand_ins[1]).any():
        return orjson.dumps(plain(array))
    standing = np.where(np.isnan(array), stand_ins[0], np.where(np.isposinf(array), stand_ins[1], array))
    for_nan, for_infinity = _array_text(stand_ins)[1:-1].split(b",")
    return _array_text(standing).replace(for_nan, b'"NaN"').replace(for_infinity, b'"Infinity"')
