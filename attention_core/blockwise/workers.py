"""Threads that share the tiles of a call, and never more of them at work than there are meant to be."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Self

from attention_core.blockwise.blas import one_blas_thread
from attention_core.blockwise.cores import Cores, bound_to, divide_cores
from attention_core.blockwise.workspace import Workspaces

Stay = Callable[[], bool]
"""Asked by a helper between two pieces of work; False sends it home."""


class Workers:
    """A number of threads, to be owned by whoever makes calls and closed by them; several calls may share it.

    The calling thread always works.  Helpers join it while fewer threads than `threads` are at work, and leave after
    the tile in hand when another call arrives, so that calls at the same time do not crowd the cores.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.spaces = Workspaces()
        self._pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="tiles") if threads > 1 else None
        self._lock = threading.Lock()
        self._at_work = 0
        self._own = threading.local()

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Count the calling thread among those at work, whatever it does meanwhile: helpers make room for it.

        A call that it shares meanwhile does not count it again.
        """
        if getattr(self._own, "counted", False):
            yield
            return
        with self._lock:
            self._at_work += 1
        self._own.counted = True
        try:
            yield
        finally:
            self._own.counted = False
            self._leave()

    def share(self, work: Callable[[Stay], None]) -> None:
        """Run `work` here and in as many helpers as there is room for; return when all of them have."""
        with one_blas_thread():
            if self._pool is None:
                work(_always)
                return
            with self.occupied():
                with self._lock:
                    helpers = max(0, self.threads - self._at_work)
                    self._at_work += helpers
                own, *others = divide_cores(helpers + 1) if helpers else [None]
                # Before this thread is bound to its cores: a thread that begins now inherits where it may run.
                futures = [self._pool.submit(self._help, work, cores) for cores in others]
                try:
                    with bound_to(own):
                        work(_always)
                finally:
                    self._gather(futures)

    def _help(self, work: Callable[[Stay], None], cores: Cores | None) -> None:
        try:
            with bound_to(cores):
                work(self._has_room)
        finally:
            self._leave()

    def _gather(self, futures: list["Future[None]"]) -> None:
        """Wait for helpers; those that have not begun are not needed any more."""
        while futures:
            future = futures.pop()
            if future.cancel():
                self._leave()
            else:
                future.result()

    def _has_room(self) -> bool:
        return self._at_work <= self.threads

    def _leave(self) -> None:
        with self._lock:
            self._at_work -= 1

    def close(self) -> None:
        """Let helpers finish and take no more."""
        if self._pool is not None:
            self._pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _always() -> bool:
    return True
