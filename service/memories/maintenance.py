"""Upkeep of an embedded store: expired memories, files that belong to none, and parts that are to be merged."""

import time
from collections.abc import Callable

from service.memories.background import BackgroundWork, has_grown, has_paused
from service.memories.catalogue import Row
from service.memories.parts import closed_parts, file_id_of
from service.memories.resources import StoreResources
from service.memories.writing import MemoryWriter


class Maintenance(BackgroundWork):
    """Sweeps and compacts.

    :param resources: of the store.
    :param writer: of the store.
    :param on_expired: called with the number of memories that a sweep has removed.
    """

    def __init__(
        self, resources: StoreResources, writer: MemoryWriter, on_expired: Callable[[int], None] | None
    ) -> None:
        super().__init__(on_expired)
        self._of = resources
        self._writer = writer

    def sweep(self) -> int:
        """Remove expired memories, and files that no memory has; return the number of memories."""
        expired = [row.name for row in self._of.catalogue.expiring() if self._of.uses.has_expired(row)]
        removed = self._report_expired(sum(map(self._writer.remove_expired, expired)))
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
        """Merge the parts of a memory if that is due."""
        if not self._may_merge(row.generation):
            return False
        first, *others = closed_parts(row)
        is_idle = self._is_idle(row)
        if not is_idle and not has_grown(sum(part.size for part in others), first.size):
            return False
        return self._merge(row.generation, lambda: self._writer.compact(row.name, closes_log=is_idle))

    def _is_idle(self, row: Row) -> bool:
        """Return whether appends to a memory have paused for long enough to merge all of it."""
        written = row.modified
        if row.log is not None:
            try:
                written = self._of.files.path(row.log).stat().st_mtime
            except FileNotFoundError:
                return False
        return has_paused(time.time() - written, row.bytes, self._of.limits.idle_seconds)

    def _drop_removed(self) -> None:
        """Drop the states and close the logs of memories that other processes have removed."""
        live = self._of.catalogue.live_files()
        self._of.states.keep_only(live)
        self._of.files.close_logs_except(live)
        self._of.states.trim()

    def _turn(self, *, is_sweep: bool) -> None:
        if is_sweep:
            self._drop_old_retries()
            self._drop_removed()
        with self._of.locks.try_upkeep() as held:
            if held and is_sweep:
                self.sweep()
            if held:
                self.compact()
