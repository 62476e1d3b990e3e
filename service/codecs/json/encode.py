"""Encode a document with arrays as JSON.

The JSON writer holds the GIL, so a large document is written in pieces, some rows of an array or some items of a list,
between which other threads run.  Compiled code writes long arrays of float32 without the GIL, the same characters in
less time.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from attention_wire.documents import plain
from service.codecs.json import native

MAX_LETTER_SEARCHES = 16
"""Maximum letters u that are examined one by one; a text with more of them is searched for the word."""

PIECE_NUMBERS = 1 << 15
"""Approximate numbers written at once, which takes 1 ms."""

MIN_COMPILED_NUMBERS = 1 << 10
"""Minimum numbers of a float32 array that compiled code writes."""

MAX_OBJECTS = 16
"""Maximum objects of a list that are weighed one by one."""


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
    """Return a number outside of arrays as it is spelled in one: None for −∞, strings for NaN and +∞; None stays."""
    return None if value is None else plain(np.asarray(value))


def _at_once(value: Any) -> bool:
    """Return whether a value is small enough to be written as a whole, and nothing in it is left to compiled code."""
    weight = _weight(value)
    return weight <= PIECE_NUMBERS and (weight < MIN_COMPILED_NUMBERS or not _holds_compiled(value))


def _holds_compiled(value: Any) -> bool:
    """Return whether compiled code writes a part of a document, in objects and in short lists of objects."""
    if isinstance(value, dict):
        return any(_is_compiled(member) or _holds_compiled(member) for member in value.values())
    return _is_short_of_objects(value) and any(map(_holds_compiled, value))


def _is_compiled(value: Any) -> bool:
    """Return whether compiled code writes a value."""
    if not isinstance(value, np.ndarray) or value.size < MIN_COMPILED_NUMBERS:
        return False
    return native.AVAILABLE and value.dtype == np.float32


def _is_short_of_objects(value: Any) -> bool:
    """Return whether a value is a list of a few objects, such as the outputs of an inference, each of another size."""
    return isinstance(value, list) and 0 < len(value) <= MAX_OBJECTS and isinstance(value[0], dict)


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
    elif _is_short_of_objects(value):
        for place, item in enumerate(value):
            yield b"," if place else b"["
            yield from _pieces(item)
        yield b"]"
    else:
        yield from _row_pieces(value)


def _row_pieces(rows: list[Any] | NDArray[Any]) -> Iterator[bytes | memoryview]:
    """Yield a long list or array in pieces of several rows, or several pieces of a row."""
    step = PIECE_NUMBERS // _weight(rows[0])
    for start in range(0, len(rows), max(1, step)):
        yield b"," if start else b"["
        if step:
            yield _text(rows[start : start + step])[1:-1]
        else:
            yield from _pieces(rows[start])
    yield b"]"


def _weight(value: Any) -> int:
    """Return the approximate cost of writing a value, in numbers; all items of a long list count as its first."""
    if isinstance(value, np.ndarray):
        return value.size + 1
    if isinstance(value, dict):
        # Most members are arrays, strings and numbers, which need no recursion.
        weight = 1
        for member in value.values():
            kind = type(member)
            if kind is np.ndarray:
                weight += member.size + 1
            else:
                weight += _weight(member) if kind is dict or kind is list else 1
        return weight
    if _is_short_of_objects(value):
        return 1 + sum(map(_weight, value))
    if isinstance(value, list) and value:
        return 1 + len(value) * _weight(value[0])
    return 1


def _dumps(value: Any) -> bytes:
    text = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY, default=_as_written)
    # The writer makes every non-finite number null, which is right for −∞ alone.
    if _has_null(text) and _has_other_words(value):
        return _spelled(value)
    return text


def _as_written(array: NDArray[Any]) -> Any:
    """Return an array that the JSON writer does not take in a form that it does: contiguous, or a bare number."""
    return np.ascontiguousarray(array) if array.ndim else array[()]


def _has_null(text: bytes) -> bool:
    """Return whether there is a null in a text.

    Numbers, most of a long text, have no letter u, which is found forty times as fast as a word.
    """
    place = 0
    for _ in range(MAX_LETTER_SEARCHES):
        place = text.find(b"u", place + 1)
        if place < 0:
            return False
        if text.startswith(b"null", place - 1):
            return True
    return text.find(b"null", place) >= 0


def _has_other_words(value: Any) -> bool:
    """Return whether NaN or +∞ is in an array of the document."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "f" and not (value < np.inf).all()
    if isinstance(value, dict):
        return any(map(_has_other_words, value.values()))
    return isinstance(value, list) and any(map(_has_other_words, value))


def _spelled(value: Any) -> bytes:
    """Return the JSON of a value with NaN or +∞ in some of its arrays."""
    if isinstance(value, np.ndarray):
        return _spelled_array(value) if _has_other_words(value) else _dumps(value)
    return orjson.dumps(value, default=lambda array: orjson.Fragment(_spelled(array)))


def _spelled_array(array: NDArray[Any]) -> bytes:
    """Return the JSON of an array with NaN or +∞: written as the largest numbers that it lacks, then replaced."""
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
