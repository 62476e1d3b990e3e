"""Upkeep of an embedded store: expired memories, files that belong to none, and parts that are to be merged."""

import logging
import threading
import time
from collections.abc import Callable

from service.memories.catalogue import Row
from service.memories.errors import MemoryDamaged, MemoryStoreError
from service.memories.parts import closed_parts, file_id_of
from service.memories.resources import StoreResources
from service.memories.segment import MAX_READ_BYTES
from service.memories.writing import MemoryWriter

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


class Maintenance:
    """Sweeps and compacts.

    :param resources: of the store.
    :param writer: of the store.
    :param on_expired: called with the number of memories that a sweep has removed.
    """

    def __init__(
        self, resources: StoreResources, writer: MemoryWriter, on_expired: Callable[[int], None] | None
    ) -> None:
        self._on_expired = on_expired
        self._of = resources
        self._writer = writer
        self._retries: dict[str, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memories-maintenance", daemon=True)

    def start(self) -> None:
        """Sweep and compact in the background from now on."""
        self._thread.start()

    def close(self) -> None:
        """End the background work; a merge that is under way is finished first."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def sweep(self) -> int:
        """Remove expired memories, and files that no memory has; return the number of memories."""
        expired = [row.name for row in self._of.catalogue.expiring() if self._of.uses.has_expired(row)]
        removed = sum(map(self._writer.remove_expired, expired))
        if removed and self._on_expired is not None:
            self._on_expired(removed)
        files = self._of.files.unnamed(self._of.catalogue.live_files())
        generations = self._of.uses.generations()
        # What the catalogue names now was committed after the first look.
        live = self._of.catalogue.live_files()
        for path, _ in files:
            if file_id_of(path) not in live:
                path.unlink(missing_ok=True)
        for generation in generations:
            if generation not in live:
                self._of.uses.forget(generation)
        return removed

    def compact(self) -> int:
        """Merge the parts of memories that are due; return their number."""
        return sum(map(self._compact, self._of.catalogue.fragmented()))

    def _compact(self, row: Row) -> bool:
        """Merge the parts of a memory if that is due; one for which it failed is left alone for a while."""
        if time.monotonic() < self._retries.get(row.generation, 0) or self._stopped.is_set():
            return False
        is_idle = self._is_idle(row)
        if not is_idle and not has_grown(row):
            return False
        try:
            return self._writer.compact(row.name, closes_log=is_idle)
        except MemoryStoreError as error:
            self._retries[row.generation] = time.monotonic() + RETRY_SECONDS
            # The text of the error may hold the name of the memory.
            reason = error.reason if isinstance(error, MemoryDamaged) else type(error).__name__
            logger.warning("the parts of a memory could not be merged: %s", reason)
            return False

    def _is_idle(self, row: Row) -> bool:
        """Return whether appends to a memory have paused for long enough to merge all of it."""
        written = row.modified
        if row.log is not None:
            try:
                written = self._of.files.path(row.log).stat().st_mtime
            except FileNotFoundError:
                return False
        return time.time() - written >= self._of.limits.idle_seconds * max(1, row.bytes / MAX_READ_BYTES)

    def _drop_removed(self) -> None:
        """Drop the states and close the logs of memories that other processes have removed."""
        live = self._of.catalogue.live_files()
        self._retries = {generation: until for generation, until in self._retries.items() if generation in live}
        self._of.states.keep_only(live)
        self._of.files.close_logs_except(live)
        self._of.states.trim()

    def _run(self) -> None:
        turn = 0
        while not self._stopped.is_set():
            is_sweep = turn % SWEEP_INTERVALS == 0
            try:
                if is_sweep:
                    self._drop_removed()
                with self._of.locks.try_upkeep() as held:
                    if held and is_sweep:
                        self.sweep()
                    if held:
                        self.compact()
            except Exception:
                logger.exception("the upkeep of memories failed; it is tried again")
            turn += 1
            self._stopped.wait(INTERVAL_SECONDS)


def has_grown(row: Row) -> bool:
    """Return whether the parts behind the first are worth a merge while appends go on."""
    first, *others = closed_parts(row)
    added = sum(part.size for part in others)
    return added >= MIN_MERGED_BYTES and GROWTH * added >= first.size
