"""The background work of every store: sweeping expired memories and merging parts, and when either is due."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from service.memories.errors import MemoryDamaged, MemoryStoreError, StoreUnavailable
from service.memories.segment import MAX_READ_BYTES

INTERVAL_SECONDS = 1.0
"""Time between two looks for parts to merge."""

SWEEP_INTERVALS = 10
"""One look of this many also sweeps; readers do not see an expired memory before it is swept either."""

MIN_MERGED_BYTES = 1024 * 1024
"""Bytes behind the first part from which on parts are merged while appends go on."""

GROWTH = 4
"""Parts are merged once those behind the first hold one byte for this many of its own: each byte is then written about
five times in all."""

RETRY_SECONDS = 60
"""Time for which a memory is left alone whose parts could not be merged."""

logger = logging.getLogger(__name__)


def has_grown(added_bytes: int, first_bytes: int) -> bool:
    """Return whether the parts behind the first are worth a merge while appends go on.

    :param added_bytes: of all parts behind the first.
    :param first_bytes: of the first.
    """
    return added_bytes >= MIN_MERGED_BYTES and GROWTH * added_bytes >= first_bytes


def has_paused(idle_seconds: float, nbytes: int, limit_seconds: float) -> bool:
    """Return whether appends to a memory have paused for long enough to merge all of it.

    :param idle_seconds: since the last append.
    :param nbytes: of the memory.
    :param limit_seconds: for up to 64 MiB; a larger memory waits longer in proportion.
    """
    return idle_seconds >= limit_seconds * max(1, nbytes / MAX_READ_BYTES)


class BackgroundWork(ABC):
    """A thread that sweeps and merges until it is closed.

    :param on_expired: called with the number of memories that a sweep has removed.
    """

    ends_a_turn: ClassVar[tuple[type[MemoryStoreError], ...]] = ()
    """Errors of one merge that leave no sense in others of the same turn."""

    def __init__(self, on_expired: Callable[[int], None] | None) -> None:
        self._on_expired = on_expired
        self._retries: dict[str, float] = {}
        self._is_waiting = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memories", daemon=True)

    def start(self) -> None:
        """Sweep and merge in the background from now on."""
        self._thread.start()

    def close(self) -> None:
        """End the background work; a merge that is under way is finished first."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    @abstractmethod
    def _turn(self, *, is_sweep: bool) -> None:
        """Merge the parts of memories that are due, unless another process does that.

        :param is_sweep: whether to remove expired memories first, and to forget those that others have removed.
        """

    def _report_expired(self, removed: int) -> int:
        """Tell the number of memories that a sweep has removed; return it."""
        if removed and self._on_expired is not None:
            self._on_expired(removed)
        return removed

    def _may_merge(self, generation: str) -> bool:
        """Return whether the parts of a memory may be merged now, rather than left alone for a while."""
        return not self._stopped.is_set() and time.monotonic() >= self._retries.get(generation, 0)

    def _merge(self, generation: str, merge: Callable[[], bool]) -> bool:
        """Return whether a merge was done; a memory for which it fails is left alone for a while."""
        try:
            return merge()
        except self.ends_a_turn:
            raise
        except MemoryStoreError as error:
            self._retries[generation] = time.monotonic() + RETRY_SECONDS
            # The text of the error may hold the name of the memory.
            reason = error.reason if isinstance(error, MemoryDamaged) else type(error).__name__
            logger.warning("the parts of a memory could not be merged: %s", reason)
            return False

    def _drop_old_retries(self) -> None:
        now = time.monotonic()
        self._retries = {generation: until for generation, until in self._retries.items() if until > now}

    def _run(self) -> None:
        turn = 0
        while not self._stopped.is_set():
            try:
                self._turn(is_sweep=turn % SWEEP_INTERVALS == 0)
                self._is_waiting = False
            except StoreUnavailable as error:
                if not self._is_waiting:
                    logger.warning("the upkeep of memories waits for their store: %s", error.__cause__ or error)
                self._is_waiting = True
            except Exception:
                logger.exception("the upkeep of memories failed; it is tried again")
            turn += 1
            self._stopped.wait(INTERVAL_SECONDS)
