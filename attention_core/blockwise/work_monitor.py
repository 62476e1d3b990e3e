"""Cancellation, progress and errors of a call that several threads share."""

import threading

from attention_core.errors import Stopped
from attention_core.interfaces import ProgressCallback, ShouldStop


class WorkMonitor:
    """Serializes a caller's `should_stop` and `progress` among threads, so that they need no lock of their own."""

    def __init__(self, should_stop: ShouldStop | None, progress: ProgressCallback | None, total: int) -> None:
        """Start with no tile done.

        :param should_stop: called by `check_cancelled`; None for never.
        :param progress: called by `advance`; None for never.
        :param total: number of tiles of the call.
        """
        self._should_stop, self._progress, self._total = should_stop, progress, total
        self._lock = threading.Lock()
        self._done = 0
        self._error: BaseException | None = None

    def has_failed(self) -> bool:
        """Return whether a thread has recorded an error."""
        return self._error is not None

    def check_cancelled(self) -> None:
        """Raise Stopped if `should_stop` returns True, or if another thread has recorded an error."""
        if self._error is not None:
            raise Stopped("another thread has failed")
        if self._should_stop is not None:
            with self._lock:
                if self._should_stop():
                    raise Stopped("stopped between tiles")

    def advance(self, tiles: int) -> None:
        """Call `progress` once for each of `tiles` further tiles that are done."""
        if self._progress is not None:
            with self._lock:
                for _ in range(tiles):
                    self._done += 1
                    self._progress(self._done, self._total)

    def record_error(self, error: BaseException) -> None:
        """Keep the first error, after which `check_cancelled` stops every thread."""
        with self._lock:
            if self._error is None:
                self._error = error

    def raise_first_error(self) -> None:
        """Raise the first recorded error, if there is one."""
        if self._error is not None:
            raise self._error
