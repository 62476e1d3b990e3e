"""The compiled code as functions of bytes and arrays; it runs without the GIL.

`hatch_build.py` compiles `read.c` and `write.c` when the project is installed: for any processor of the kind, and once
more for those with wider instructions.  Structures and constants are those of `exports.h`.
"""

import ctypes
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.codecs.json.arrays import MAX_DIMENSIONS, Extended

Array = NDArray[np.float64] | NDArray[np.int64] | NDArray[np.bool_] | Extended

INTEGERS, NUMBERS, EXTENDED, BOOLEANS = range(1, 5)

ARRAYS_PER_CALL = 64
"""Arrays that one call of the compiled code returns; it is called again until the text has ended."""

MAX_ARRAYS = 250_000
"""Maximum arrays returned of one text, 150 MiB with their lists and names; later ones are left to the parser."""

ANY_PROCESSOR, WIDE = "numbers.so", "numbers-wide.so"

FOLDER = Path(__file__).parent

FAILURES = FOLDER / "failures.txt"
"""Messages of `hatch_build.py` about libraries that it could not compile."""

SHAPE_AT = 6
"""Index of the first length among the integers of a `struct array`."""

BYTES_PER_NUMBER, BYTES_PER_LIST, BYTES_BEHIND = 32, 2, 32
"""Bytes that the writer needs for each number, for each list, and behind the last."""

STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""A string of JSON, or the unfinished one at the end of a text."""

NAME_END = re.compile(rb'"[ \n\t\r]*:')


class Structure(NamedTuple):
    """Structural characters of a JSON text outside its strings: commas, colons behind strings, and `[` or `{`."""

    commas: int
    names: int
    openings: int

    @property
    def values(self) -> int:
        """Upper bound on the values in the text, but for the first: one begins it, or follows a comma or an opening."""
        return self.commas + self.openings


class RefusedArray(NamedTuple):
    """The list of a text that came nearest to an array: its first byte, the first that does not fit, elements read."""

    start: int
    at: int
    elements: int


class Progress(ctypes.Structure):
    """The `struct progress`."""

    _fields_ = [
        (name, ctypes.c_int64) for name in ("at", "slots_used", "refused_start", "refused_at", "refused_elements")
    ]


def open_library(name: str) -> ctypes.CDLL:
    """Return a library that was built, here or at a path; raises OSError if it was not."""
    library = ctypes.CDLL(str(FOLDER / name))
    size, address = ctypes.c_int64, ctypes.c_void_p
    library.attention_read_arrays.restype = size
    library.attention_read_arrays.argtypes = [ctypes.c_char_p, size, size, address, address, address, size]
    library.attention_write_numbers.restype = size
    library.attention_write_numbers.argtypes = [address, address, size, address]
    library.attention_count_structure.restype = None
    library.attention_count_structure.argtypes = [ctypes.c_char_p, size, size, address]
    return library


def _best_library() -> tuple[ctypes.CDLL | None, str]:
    """Return the fastest library that this processor runs, or None, and why a faster one is missing."""
    try:
        library = open_library(ANY_PROCESSOR)
    except OSError as error:
        return None, _reason(ANY_PROCESSOR, error)
    if not library.attention_runs_wide():
        return library, ""
    try:
        return open_library(WIDE), ""
    except OSError as error:
        return library, _reason(WIDE, error)


def _reason(name: str, error: OSError) -> str:
    """Return the message of the build about a library, or else that of the loader."""
    reported = FAILURES.read_text() if FAILURES.exists() else ""
    return reported.strip() if name in reported else f"{name}: {error}"


_library, MISSING = _best_library()
"""`MISSING` says which library is missing and why; empty where the best for this processor is there."""

AVAILABLE = _library is not None


def read_arrays(text: bytes, min_bytes: int) -> tuple[list[tuple[int, int, Array]], RefusedArray | None]:
    """Return the number arrays that are values of members in a JSON document, each with where it starts and ends.

    Only arrays of `min_bytes` or more, and whole ones.  Of the refused the one with the most elements before its fault
    is returned beside them.
    """
    if _library is None:
        return [], None
    slots = np.empty(len(text) // 2 + 1, np.float64)
    progress = Progress()
    arrays = list(islice(_read_batches(_library, text, min_bytes, slots, progress), MAX_ARRAYS))
    if not progress.refused_elements:
        return arrays, None
    return arrays, RefusedArray(progress.refused_start, progress.refused_at, progress.refused_elements)


def _read_batches(
    library: ctypes.CDLL, text: bytes, min_bytes: int, slots: NDArray[np.float64], progress: Progress
) -> Iterator[tuple[int, int, Array]]:
    batch = np.empty((ARRAYS_PER_CALL, SHAPE_AT + MAX_DIMENSIONS), np.int64)
    arguments = (text, len(text), min_bytes, _address(slots), ctypes.addressof(progress), _address(batch))
    found = ARRAYS_PER_CALL
    while found == ARRAYS_PER_CALL:
        found = library.attention_read_arrays(*arguments, ARRAYS_PER_CALL)
        ranks = batch[:found, SHAPE_AT - 1]
        for start, end, first, count, kind, rank, *shape in batch[:found, : SHAPE_AT + ranks.max(initial=0)].tolist():
            yield start, end, _array(slots[first:], count, kind, shape[:rank])


def write_numbers(array: NDArray[np.float32]) -> memoryview:
    """Return the characters of an array of float32 as nested lists; no axis is empty.

    Raises RuntimeError where nothing was compiled.
    """
    if _library is None:
        raise RuntimeError("expected compiled code; there is none")
    array = np.ascontiguousarray(array)
    lists = array.size // array.shape[-1] * array.ndim
    room = BYTES_PER_NUMBER * array.size + BYTES_PER_LIST * lists + BYTES_BEHIND
    characters, shape = np.empty(room, np.uint8), np.array(array.shape, np.int64)
    written = _library.attention_write_numbers(array.ctypes.data, _address(shape), array.ndim, _address(characters))
    return characters.data[:written]


def count_structure(content: bytes, start: int = 0, end: int | None = None) -> Structure:
    """Return how many structural characters are outside the strings of the JSON text from `start` up to `end`.

    Either may lie beyond the content, which then is all there is.
    """
    start, end, _ = slice(start, end).indices(len(content))
    if _library is None:
        # A quote is left of each string, for the colons behind names.
        plain = STRING.sub(b'"', content[start:end])
        return Structure(plain.count(b","), len(NAME_END.findall(plain)), plain.count(b"[") + plain.count(b"{"))
    counts = (ctypes.c_int64 * 3)()
    _library.attention_count_structure(content, start, end, ctypes.addressof(counts))
    return Structure(*counts)


def _address(array: NDArray[Any]) -> int:
    # A third of the time that `array.ctypes` takes.
    return ctypes.addressof(ctypes.c_char.from_buffer(array.data))


def _array(slots: NDArray[np.float64], count: int, kind: int, shape: list[int]) -> Array:
    if kind == BOOLEANS:
        return slots.view(np.bool_)[:count].reshape(shape)
    if kind == INTEGERS:
        return slots.view(np.int64)[:count].reshape(shape)
    numbers = slots[:count].reshape(shape)
    return Extended(numbers) if kind == EXTENDED else numbers
