"""The compiled code as functions of bytes and arrays; while it works, other threads go on.

`hatch_build.py` compiles `read.c` and `write.c` when the project is installed: for any processor of the kind, and once
more for those with wider instructions.
"""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.codecs.json.arrays import Extended

Array = NDArray[np.float64] | NDArray[np.int64] | NDArray[np.bool_] | Extended

INTEGERS, NUMBERS, EXTENDED, BOOLEANS = range(1, 5)

MOST_ARRAYS = 256
"""So many arrays are read; a document with more has small ones."""

ANY_PROCESSOR, WIDE = "numbers.so", "numbers-wide.so"

FIELDS = 14
"""Integers in the `struct array` of `read.c`."""

BYTES_PER_NUMBER, BYTES_PER_LIST, BYTES_BEHIND = 32, 2, 32
"""Room that `write.c` asks for."""


def open_library(name: str) -> ctypes.CDLL:
    """Return a library that was built, here or at a path; raises OSError if it was not."""
    library = ctypes.CDLL(str(Path(__file__).parent / name))
    size, address = ctypes.c_int64, ctypes.c_void_p
    library.attention_read_arrays.restype = library.attention_count.restype = ctypes.c_int64
    library.attention_read_arrays.argtypes = [ctypes.c_char_p, size, size, address, address, size]
    library.attention_write_numbers.restype = ctypes.c_int64
    library.attention_write_numbers.argtypes = [address, address, size, address]
    library.attention_count.argtypes = [ctypes.c_char_p, size, ctypes.c_char]
    return library


def _best_library() -> ctypes.CDLL | None:
    """Return the best library that was built and that this processor can run, or None."""
    try:
        library = open_library(ANY_PROCESSOR)
        return open_library(WIDE) if library.attention_runs_wide() else library
    except OSError:
        return None


_library = _best_library()

AVAILABLE = _library is not None


def read_arrays(text: bytes, shortest: int) -> list[tuple[int, int, Array]]:
    """Return the number arrays that are values of members in a JSON document, each with where it starts and ends.

    Only those of `shortest` bytes or more; what is not plainly one whole array is not among them.
    """
    if _library is None:
        return []
    slots = np.empty(len(text) // 2 + 1, np.float64)
    fields = np.empty((MOST_ARRAYS, FIELDS), np.int64)
    found = _library.attention_read_arrays(text, len(text), shortest, _address(slots), _address(fields), MOST_ARRAYS)
    return [
        (start, end, _array(slots[first:], count, kind, shape[:rank]))
        for start, end, first, count, kind, rank, *shape in fields[:found].tolist()
    ]


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


def count(text: bytes, character: bytes) -> int:
    """Return how often a character comes."""
    if _library is None:
        return text.count(character)
    return int(_library.attention_count(text, len(text), character))


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
