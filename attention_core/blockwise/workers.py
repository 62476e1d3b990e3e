"""A pool of threads that share the work of calls."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Self

from attention_core.blockwise.blas import one_blas_thread


class Workers:
    """A pool of threads for large calls, which several calls at the same time may share; a context manager.

    The calling thread always works.  Helpers join it while fewer than `threads` threads are active, and stop after
    their current task when another call arrives, so that concurrent calls do not run more threads than that.
    """

    def __init__(self, threads: int) -> None:
        """Create a pool; close it with `close`, or by leaving its context.

        :param threads: maximum number of active threads, the calling ones included, ≥ 1.
        """
        self.threads = threads
        self._pool = ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="tiles")
        self._lock = threading.Lock()
        self._active_threads = 0
        self._local = threading.local()

    @contextmanager
    def count_calling_thread(self) -> Iterator[None]:
        """Count the calling thread as active until the context ends; a helper stops for it.

        Nested contexts of one thread count it once.
        """
        if getattr(self._local, "counted", False):
            yield
            return
        with self._lock:
            self._active_threads += 1
        self._local.counted = True
        try:
            yield
        finally:
            self._local.counted = False
            self._release_thread()

    def run(self, work: Callable[[int], None]) -> None:
        """Run ``work(0)`` in the calling thread and ``work(1)``, ``work(2)``, … in the free helpers.

        Returns when all that have started have returned; raises what one of them raises.

        :param work: called with the number of its thread, which is below `threads`; asks `may_continue` between tasks.
        """
        with one_blas_thread(), self.count_calling_thread():
            with self._lock:
                helpers = max(0, self.threads - self._active_threads)
                self._active_threads += helpers
            futures = [self._pool.submit(self._help, work, thread) for thread in range(1, helpers + 1)]
            try:
                work(0)
            finally:
                started = [future for future in futures if not future.cancel()]
                for _ in range(len(futures) - len(started)):
                    self._release_thread()
                wait(started)
            for future in started:
                future.result()

    def may_continue(self, thread: int) -> bool:
        """Return whether a thread of `run` may take another task: helpers stop while too many threads are active.

        :param thread: its number; the calling thread, 0, always continues.
        """
        return thread == 0 or self._active_threads <= self.threads

    def _help(self, work: Callable[[int], None], thread: int) -> None:
        try:
            work(thread)
        finally:
            self._release_thread()

    def _release_thread(self) -> None:
        with self._lock:
            self._active_threads -= 1

    def close(self) -> None:
        """Wait for running helpers and refuse further work."""
        self._pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
