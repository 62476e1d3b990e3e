"""The text of one list becomes an array without a Python number in between, or is left to others."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.codecs.json.arrays import MOST_DIMENSIONS, Extended

try:
    import simdjson
except ImportError:  # there is no wheel for every Python
    READABLE = False
else:
    READABLE = True

Numbers = NDArray[np.float64] | NDArray[np.int64]
Array = Numbers | NDArray[np.bool_] | Extended

PIECE_BYTES = 1 << 19
"""About so much is read at once: it stays in the cache, and between two pieces another thread gets its turn."""

SPACE = rb"[ \t\n\r]*"
OPENING = re.compile(rb"(?:\[%b)+" % SPACE)


@dataclass(frozen=True, slots=True)
class Word:
    """What may stand among numbers, and the number that stands in for it while they are read.

    Spaces keep the stand-in apart from what is beside it.  It is told by its value: were it one of the array as well,
    it would be found more often than the word's own letter.
    """

    spelling: bytes
    letter: bytes
    stand_in: bytes
    meaning: float


WORDS = (
    Word(b"null", b"u", b" -9e307 ", -np.inf),
    Word(b'"NaN"', b"a", b" 8e307 ", np.nan),
    Word(b'"Infinity"', b"y", b" 9e307 ", np.inf),
)


def read_array(text: bytes) -> Array | None:
    """Return the array that the text of one list spells out, as `as_array` would, or None where that is to decide."""
    parser = simdjson.Parser()
    arrays: list[Array] = []
    for piece in _pieces(text):
        array = _read(parser, piece)
        if array is None:
            return None
        arrays.append(array)
    return arrays[0] if len(arrays) == 1 else _joined(arrays)


def _pieces(text: bytes) -> Iterator[bytes]:
    """Cut a long list between its items; if each piece is a list of items alike, so is the whole."""
    opening = OPENING.match(text)
    closings = 0 if opening is None else opening[0].count(b"[") - 1
    between = re.compile(rb"(?:\]%b){%d}," % (SPACE, closings))
    start = 0
    while closings and (found := between.search(text, start + PIECE_BYTES)) is not None:
        yield (b"[" if start else b"") + text[start : found.end() - 1] + b"]"
        start = found.end()
    yield b"[" + text[start:] if start else text


def _joined(arrays: list[Array]) -> Array | None:
    """Put pieces together, of which all must be numbers or all booleans."""
    whole: list[NDArray[Any]] = [array.numbers if isinstance(array, Extended) else array for array in arrays]
    if len({(array.shape[1:], array.dtype == np.bool_) for array in whole}) > 1:
        return None
    joined = np.concatenate(whole)
    return Extended(joined) if any(isinstance(array, Extended) for array in arrays) else joined


def _read(parser: Any, text: bytes) -> Array | None:
    if b"n" in text or b'"' in text:
        return _read_extended(parser, text)
    if b"t" in text or b"f" in text:
        return _read_booleans(parser, text)
    return _read_numbers(parser, text)


def _read_booleans(parser: Any, text: bytes) -> NDArray[np.bool_] | None:
    words = _count(text, b"t") + _count(text, b"f")
    array = _read_numbers(parser, text.replace(b"true", b" 1  ").replace(b"false", b"  0  "))
    # A number that was there before would be one more than there are words.
    return None if array is None or array.size != words else array.astype(np.bool_)


def _read_extended(parser: Any, text: bytes) -> Extended | None:
    counts = [_count(text, word.letter) for word in WORDS]
    for word, count in zip(WORDS, counts, strict=True):
        if count:
            text = text.replace(word.spelling, word.stand_in)
    array = _read_numbers(parser, text)
    if array is None:
        return None
    extended = array.astype(np.float64)
    for word, count in zip(WORDS, counts, strict=True):
        found = array == float(word.stand_in)
        if np.count_nonzero(found) != count:
            return None
        extended[found] = word.meaning
    return Extended(extended)


def _count(text: bytes, character: bytes) -> int:
    # Counting bytes one at a time, as bytes.count does, takes ten times as long.
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord(character)))


def _read_numbers(parser: Any, text: bytes) -> Numbers | None:
    try:
        array = parser.parse(text)
        shape = _shape(array)
        if shape is None or _count(text, b"[") != _lists(shape):
            return None
        numbers = _flat(array)
    except (ValueError, TypeError, RuntimeError):
        # Not JSON, not numbers, or integers and floats that 64 bits do not hold.
        return None
    return numbers.reshape(shape) if numbers.size == prod(shape) else None


def _shape(array: Any) -> tuple[int, ...] | None:
    """Return the shape down to where the first elements are no lists; None if ragged or empty up to there."""
    shape: list[int] = []
    level = [array]
    while len(shape) < MOST_DIMENSIONS:
        lengths = set(map(len, level))
        if len(lengths) != 1 or 0 in lengths:
            return None
        shape.append(lengths.pop())
        if not isinstance(level[0][0], simdjson.Array):
            return tuple(shape)
        level = [item for parent in level for item in parent]
        if set(map(type, level)) != {simdjson.Array}:
            return None
    return None


def _lists(shape: tuple[int, ...]) -> int:
    """Return how many brackets open in an array: with no more than these, none of its numbers is a list."""
    return sum(prod(shape[:axis]) for axis in range(len(shape)))


def _flat(array: Any) -> Numbers:
    """Return the numbers in reading order; a list with a number that is no integer has a type that says so."""
    try:
        return np.frombuffer(array.as_buffer(of_type="i"), np.int64)
    except (ValueError, TypeError):
        return np.frombuffer(array.as_buffer(of_type="d"), np.float64)
