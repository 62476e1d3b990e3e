"""Limit OpenBLAS to one thread while several Python threads multiply matrices.

OpenBLAS starts threads of its own for every large product; inside tiles on a busy machine they make a call 15 times
slower at 4 features (benchmarks/RESULTS.md, "OpenBLAS's own threads inside tiles").  NumPy has no setting for their
number; OpenBLAS has a process-wide one.
"""

import ctypes
import threading
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import numpy as np


class _OneThread:
    """A context in which OpenBLAS has one thread; the last context to end restores the number before the first."""

    def __init__(self, get_threads: Any, set_threads: Any) -> None:
        self._get_threads, self._set_threads = get_threads, set_threads
        self._lock = threading.Lock()
        self._active = 0
        self._threads_before = 1

    def __enter__(self) -> None:
        with self._lock:
            if self._active == 0:
                self._threads_before = self._get_threads()
                self._set_threads(1)
            self._active += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._active -= 1
            if self._active == 0:
                self._set_threads(self._threads_before)


@cache
def one_blas_thread() -> AbstractContextManager[None]:
    """Return the context in which matrix products run in the calling thread alone, process-wide; it may be nested.

    It does nothing where NumPy has a BLAS other than OpenBLAS.
    """
    functions = find_thread_functions()
    return nullcontext() if functions is None else _OneThread(*functions)


def find_thread_functions() -> tuple[Any, Any] | None:
    """Return OpenBLAS's functions that get and set its number of threads; None where they cannot be found."""
    try:
        # `dlsym` searches this library and all libraries it is linked to, NumPy's OpenBLAS among them.
        library = ctypes.CDLL(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return None
    for name in (
        "scipy_openblas_{}_num_threads64_",
        "scipy_openblas_{}_num_threads",
        "openblas_{}_num_threads64_",
        "openblas_{}_num_threads",
    ):
        functions = (getattr(library, name.format(verb), None) for verb in ("get", "set"))
        get_threads, set_threads = functions
        if get_threads is not None and set_threads is not None:
            return get_threads, set_threads
    return None
