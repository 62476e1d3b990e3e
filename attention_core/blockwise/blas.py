"""One BLAS thread for each thread that works on tiles, for as long as any does.

NumPy's own BLAS starts threads for every large product.  Where several threads multiply at once these only stand in
each other's way.  NumPy has no switch for it, its OpenBLAS has: a process-wide number, which is therefore put back.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

PREFIXES = ("scipy_openblas_", "openblas_")
SUFFIXES = ("64_", "")


class _Limit:
    """How many are at work, and the number of threads that was there before the first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.before = 1


@cache
def _limit() -> _Limit:
    return _Limit()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let products run in the thread that asks for them; where NumPy has another BLAS nothing is changed."""
    switch = _switch()
    if switch is None:
        yield
        return
    get, put = switch
    limit = _limit()
    with limit.lock:
        if limit.users == 0:
            limit.before = get()
            if limit.before != 1:
                put(1)
        limit.users += 1
    try:
        yield
    finally:
        with limit.lock:
            limit.users -= 1
            if limit.users == 0 and limit.before != 1:
                put(limit.before)


@cache
def _switch() -> tuple[Any, Any] | None:
    """Return OpenBLAS's functions that read and set its number of threads; None where they cannot be found."""
    try:
        # The loader searches a library and everything it is linked to.
        library = ctypes.CDLL(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return None
    for prefix in PREFIXES:
        for suffix in SUFFIXES:
            get = getattr(library, f"{prefix}get_num_threads{suffix}", None)
            put = getattr(library, f"{prefix}set_num_threads{suffix}", None)
            if get is not None and put is not None:
                return get, put
    return None
