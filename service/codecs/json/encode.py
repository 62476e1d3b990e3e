"""From a document to bytes.

The JSON writer keeps the interpreter to itself while it writes, so what is large is written in pieces, between which
other threads get their turn: some rows of an array, some items of a list.  Long arrays of float32 are written by
compiled code, the same characters in less time and beside other threads.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from service.codecs.json import native
from service.codecs.json.arrays import plain

FEW_LETTERS = 16
"""After so many letters a text is one of words."""

PIECE = 1 << 15
"""About so many numbers are written at once: one millisecond."""

WORTH_COMPILED = 1 << 10
"""From so many numbers on an array of float32 is written by compiled code."""


def encode(document: dict[str, Any]) -> bytes:
    """Return strict JSON; in arrays −∞ becomes null, NaN "NaN" and +∞ "Infinity".

    Numbers are the shortest that read back to the same value in the array's own type.
    """
    if _at_once(document):
        return _dumps(document)
    # Unlike a list of pieces that is joined, a growing buffer holds everything once.
    written = BytesIO()
    written.writelines(_pieces(document))
    return written.getvalue()


def number(value: float | None) -> Any:
    """Return a number that stands alone in a document as it is written in an array; None stays."""
    return None if value is None else plain(np.asarray(value))


def _at_once(value: Any) -> bool:
    """Whether a value is small, and written as a whole."""
    members = value.values() if isinstance(value, dict) else ()
    return _weight(value) <= PIECE and not any(map(_is_compiled, members))


def _is_compiled(value: Any) -> bool:
    """Whether a value is written by compiled code."""
    if not isinstance(value, np.ndarray) or value.size < WORTH_COMPILED:
        return False
    return native.AVAILABLE and value.dtype == np.float32


def _text(value: Any) -> bytes | memoryview:
    return native.write_numbers(value) if _is_compiled(value) else _dumps(value)


def _pieces(value: Any) -> Iterator[bytes | memoryview]:
    if _at_once(value):
        yield _text(value)
    elif isinstance(value, dict):
        for place, (name, member) in enumerate(value.items()):
            yield (b"," if place else b"{") + orjson.dumps(name) + b":"
            yield from _pieces(member)
        yield b"}"
    else:
        yield from _row_pieces(value)


def _row_pieces(rows: list[Any] | NDArray[Any]) -> Iterator[bytes | memoryview]:
    """Write a long list or array, as many rows at once as make a piece; a row may be several."""
    step = PIECE // _weight(rows[0])
    for start in range(0, len(rows), max(1, step)):
        yield b"," if start else b"["
        if step:
            yield _text(rows[start : start + step])[1:-1]
        else:
            yield from _pieces(rows[start])
    yield b"]"


def _weight(value: Any) -> int:
    """Return about how many numbers take as long to write; items of a list are taken to be alike."""
    if isinstance(value, np.ndarray):
        return value.size + 1
    if isinstance(value, dict):
        # Most members are arrays, words and numbers, which need no call.
        weight = 1
        for member in value.values():
            if isinstance(member, np.ndarray):
                weight += member.size + 1
            else:
                weight += _weight(member) if member and isinstance(member, dict | list) else 1
        return weight
    if isinstance(value, list) and value:
        return 1 + len(value) * _weight(value[0])
    return 1


def _dumps(value: Any) -> bytes:
    text = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY, default=np.ascontiguousarray)
    # The writer makes every non-finite number null, which is right for −∞ alone.
    if _has_null(text) and _has_other_words(value):
        return _spelled(value)
    return text


def _has_null(text: bytes) -> bool:
    """Whether a null is in a text; numbers, of which a long one consists, have no letter u.

    A letter is found forty times as fast as a word.
    """
    place = 0
    for _ in range(FEW_LETTERS):
        place = text.find(b"u", place + 1)
        if place < 0:
            return False
        if text.startswith(b"null", place - 1):
            return True
    return text.find(b"null", place) >= 0


def _has_other_words(value: Any) -> bool:
    """Whether NaN or +∞ is in an array of the document."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "f" and not (value < np.inf).all()
    if isinstance(value, dict):
        return any(map(_has_other_words, value.values()))
    return isinstance(value, list) and any(map(_has_other_words, value))


def _spelled(value: Any) -> bytes:
    """Write a value with NaN or +∞ in some of its arrays."""
    if isinstance(value, np.ndarray):
        return _spelled_array(value) if _has_other_words(value) else _dumps(value)
    return orjson.dumps(value, default=lambda array: orjson.Fragment(_spelled(array)))


def _spelled_array(array: NDArray[Any]) -> bytes:
    """Write an array with NaN or +∞, for which the largest numbers that it does not have stand in."""
    sizes = np.abs(array)
    for_infinity = _unused(sizes, np.finfo(array.dtype).max)
    for_nan = _unused(sizes, np.nextafter(for_infinity, array.dtype.type(0)))
    standing = np.where(np.isnan(array), for_nan, np.where(np.isposinf(array), for_infinity, array))
    stand_ins = _dumps(np.array([for_nan, for_infinity]))[1:-1].split(b",")
    return _dumps(standing).replace(stand_ins[0], b'"NaN"').replace(stand_ins[1], b'"Infinity"')


def _unused(sizes: NDArray[Any], largest: Any) -> Any:
    """Return the largest number, from `largest` on, that is not among the sizes."""
    while (sizes == largest).any():
        largest = np.nextafter(largest, sizes.dtype.type(0))
    return largest
