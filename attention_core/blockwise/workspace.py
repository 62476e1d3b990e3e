"""Arrays that are used again for every tile, and for every call: what is new to a process costs more than what it does.

The system hands out memory page by page, as it is first written to, and takes it back when a call lets go of it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray


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
            array = self._arrays[name] = np.empty(size, dtype=self._dtype)
        return array[:size].reshape(shape)


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
