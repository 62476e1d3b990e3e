"""What a caller hears of tiles while several threads work on them: whether to stop, and how far they are."""

import threading

from attention_core.errors import Stopped
from attention_core.interfaces import Progress, ShouldStop


class Watch:
    """Asks and tells one thread at a time, so that the caller's functions need no lock of their own."""

    def __init__(self, should_stop: ShouldStop | None, progress: Progress | None, total: int) -> None:
        self._should_stop, self._progress, self._total = should_stop, progress, total
        self._lock = threading.Lock()
        self._done = 0
        self._error: BaseException | None = None

    def ask(self) -> None:
        """Raise Stopped once `should_stop` has answered True, or another thread has failed."""
        if self._error is not None:
            raise Stopped("another thread has failed")
        if self._should_stop is not None:
            with self._lock:
                if self._should_stop():
                    raise Stopped("stopped between tiles")

    def tell(self, tiles: int) -> None:
        """Say that so many more tiles are done."""
        if self._progress is not None:
            with self._lock:
                for _ in range(tiles):
                    self._done += 1
                    self._progress(self._done, self._total)

    def fail(self, error: BaseException) -> None:
        """Remember the first error, which ends the work of every thread."""
        with self._lock:
            if self._error is None:
                self._error = error

    def conclude(self) -> None:
        """Raise what went wrong first, if anything did."""
        if self._error is not None:
            raise self._error
