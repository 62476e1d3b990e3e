"""A part of the cores for each thread that works on tiles, for as long as it does.

Threads that hand the interpreter's lock to one another wake one another all the time, and a kernel that takes an idle
core for a busy one (as under virtualisation) wakes them where they are called from: on one core, while others are idle.
Nothing but a thread's own affinity is changed, and it is put back.
"""

import ctypes
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

Cores = frozenset[int]


def divide_cores(threads: int) -> Sequence[Cores | None]:
    """Return cores for each of so many threads, the calling one first: of those that it may use, disjoint parts.

    None for each where there are fewer cores than threads, or where threads cannot be bound to cores.
    """
    allowed = _allowed()
    if allowed is None or len(allowed) < threads:
        return [None] * threads
    here = _current()
    # The calling thread stays where it is.
    ordered = sorted(allowed, key=lambda core: (core != here, core))
    return [frozenset(ordered[start::threads]) for start in range(threads)]


@contextmanager
def bound_to(cores: Cores | None) -> Iterator[None]:
    """Let the calling thread run on these cores only; None for wherever it may run already."""
    before = None if cores is None else _allowed()
    if cores is None or before is None or not _bind(cores):
        yield
        return
    try:
        yield
    finally:
        _bind(before)


def _bind(cores: Iterable[int]) -> bool:
    """Bind the calling thread, and say whether the system has let it."""
    try:
        os.sched_setaffinity(0, cores)
    except OSError:
        return False
    return True


def _allowed() -> set[int] | None:
    """Return the cores of the calling thread; None where the system has no such notion or does not tell."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    try:
        return os.sched_getaffinity(0)
    except OSError:
        return None


@cache
def _library() -> Any:
    return ctypes.CDLL(None)


def _current() -> int | None:
    """Return the core that the calling thread runs on."""
    try:
        return int(_library().sched_getcpu())
    except AttributeError:
        return None
