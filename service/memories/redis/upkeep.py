"""Upkeep of a store in Redis, by one replica at a time: expired memories, and parts that are to be merged."""

from collections.abc import Callable
from typing import Final

from service.memories.background import BackgroundWork, has_grown, has_paused
from service.memories.errors import StoreUnavailable
from service.memories.naming import new_version
from service.memories.redis.connection import Script
from service.memories.redis.keyspace import name_of
from service.memories.redis.resources import RedisResources
from service.memories.redis.rows import RedisRow, row_of
from service.memories.redis.scripts import FRAGMENTED, SWEEP
from service.memories.redis.writing import RedisWriter

CLAIM_SECONDS: Final = 10
"""Time after which another replica takes the upkeep over from one that was killed."""

MIN_MERGE_BYTES_PER_SECOND: Final = 5 * 1024 * 1024
"""Bytes that a merge reads and sends a second at least: the upkeep is not taken over before a merge should be done."""

SWEPT_AT_ONCE: Final = 100
"""Memories that one script looks at, since Redis answers nothing else meanwhile."""

MERGED_AT_ONCE: Final = 1000
"""Memories that are looked at for a merge."""

MAX_TAIL_BYTES: Final = 4 * 1024 * 1024
MAX_TAIL_RECORDS: Final = 1024
"""Appends from which on they become a segment, whatever the length of the memory: one that a replica reads first time
sends all of them."""

SWEEP_SCRIPT, FRAGMENTED_SCRIPT = Script(SWEEP), Script(FRAGMENTED)


class Upkeep(BackgroundWork):
    """Sweeps and compacts.

    :param resources: of the store.
    :param writer: of the store.
    :param on_expired: called with the number of memories that a sweep has removed.
    """

    ends_a_turn = (StoreUnavailable,)

    def __init__(
        self, resources: RedisResources, writer: RedisWriter, on_expired: Callable[[int], None] | None
    ) -> None:
        super().__init__(on_expired)
        self._of = resources
        self._writer = writer
        self._holder = new_version()

    def sweep(self) -> int:
        """Remove expired memories; return their number."""
        removed, looked_at = 0, SWEPT_AT_ONCE
        while looked_at == SWEPT_AT_ONCE:
            arguments = self._of.keys.prefix, "", repr(self._of.clock()), SWEPT_AT_ONCE
            [_, expired, looked_at] = self._of.connection.write(SWEEP_SCRIPT, *arguments)
            removed += expired
        return self._report_expired(removed)

    def compact(self) -> int:
        """Merge the parts of memories that are due; return the number of memories."""
        arguments = self._of.keys.prefix, "", repr(self._of.clock()), MERGED_AT_ONCE
        [_, listed] = self._of.connection.read(FRAGMENTED_SCRIPT, *arguments)
        return sum(self._compact(row_of(name_of(place.decode()), lines)) for place, lines in listed)

    def _compact(self, row: RedisRow) -> bool:
        """Merge the parts of a memory if that is due."""
        if not self._may_merge(row.generation):
            return False
        first = first_merged(row, self._of.clock(), self._of.limits.idle_seconds)
        if first is None:
            return False
        self._of.connection.prolong(self._of.keys.upkeep, CLAIM_SECONDS + row.stored // MIN_MERGE_BYTES_PER_SECOND)
        return self._merge(row.generation, lambda: self._writer.merge(row, first))

    def _drop_removed(self) -> None:
        """Drop the states of memories that other processes have removed or replaced."""
        known = self._of.states.known()
        if known:
            fields = self._of.connection.fields([self._of.keys.memory(name) for name in known], "generation")
            for (name, generation), [found] in zip(known.items(), fields, strict=True):
                if found != generation.encode():
                    self._of.states.forget(name)
        self._of.states.trim()

    def _turn(self, *, is_sweep: bool) -> None:
        if is_sweep:
            self._drop_old_retries()
            self._drop_removed()
        if not self._of.connection.claim(self._of.keys.upkeep, self._holder, CLAIM_SECONDS):
            return
        if is_sweep:
            self.sweep()
        self.compact()


def first_merged(row: RedisRow, now: float, idle_seconds: float) -> int | None:
    """Return the place of the first segment that a merge takes; None where no merge is due.

    Everything is merged once appends pause, or hold one byte for `GROWTH` of the first segment; before that, appends
    become a segment of their own.

    :param row: the memory.
    :param now: in seconds since 1970.
    :param idle_seconds: after the last append, for up to 64 MiB; a larger memory waits longer in proportion.
    """
    added = row.stored - row.segments[0].size
    if has_paused(now - row.modified, row.bytes, idle_seconds) or has_grown(added, row.segments[0].size):
        return 0
    if row.record_bytes >= MAX_TAIL_BYTES or row.records - row.first >= MAX_TAIL_RECORDS:
        return len(row.segments)
    return None
