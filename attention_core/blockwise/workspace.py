"""Arrays that are used again for every tile, and for every call: what is new to a process costs more than what it does.

The system hands out memory page by page, as it is first written to, and takes it back when a call lets go of it.
Pages of 2 MiB, where the system has them to give, spare most of the look-ups of where a page lies, which small ones
cost every product that walks over a tile.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray

HUGE_PAGE = 1 << 21

ASKED_FOR = 2 * HUGE_PAGE
"""NumPy asks Linux for huge pages for arrays of so many bytes or more."""

WORTH_A_PAGE = HUGE_PAGE // 2
"""Of an array with fewer bytes most of a huge page would lie idle."""


class Workspace:
    """Arrays for one thread at a time, by name."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._arrays: dict[str, FloatArray] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """Return an array of that shape, holding whatever it held before."""
        size = prod(shape)
        array = self._arrays.get(name)
        if array is None or array.size < size:
            array = self._arrays[name] = _new(size, self._dtype)
        return array[:size].reshape(shape)


def _new(size: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return an array; a large one begins with a huge page, if there are any, and takes no more of it than it uses."""
    length = size * dtype.itemsize
    if length < WORTH_A_PAGE:
        return np.empty(size, dtype=dtype)
    room = np.empty(length + ASKED_FOR, dtype=np.uint8)
    start = -room.ctypes.data % HUGE_PAGE
    return room[start : start + length].view(dtype)


class Workspaces:
    """Workspaces that are lent out and kept: for each dtype as many as were ever in use at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: dict[np.dtype[Any], list[Workspace]] = {}

    @contextmanager
    def lend(self, dtype: np.dtype[Any]) -> Iterator[Workspace]:
        """Lend one that nobody else has."""
        with self._lock:
            free = self._free.setdefault(dtype, [])
            space = free.pop() if free else Workspace(dtype)
        try:
            yield space
        finally:
            with self._lock:
                free.append(space)
