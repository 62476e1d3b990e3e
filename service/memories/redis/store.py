"""The store in Redis or Valkey: memories that all replicas share.

Redis has the fields of each memory, its segments in chunks, and its appends as a list of records.  Each write is one
script.  A reader asks once for the version and the appends that it has not seen; segments it reads from a directory of
its machine.
"""

import time
from collections.abc import Callable
from pathlib import Path

from service.memories.arrays import ArraySnapshot
from service.memories.naming import MemoryName
from service.memories.redis.cache import SegmentCache
from service.memories.redis.connection import RedisConnection, split_prefix
from service.memories.redis.keyspace import KeySpace
from service.memories.redis.reading import RedisReader
from service.memories.redis.resources import RedisResources
from service.memories.redis.segments import SegmentStore
from service.memories.redis.state import RedisStates
from service.memories.redis.upkeep import Upkeep
from service.memories.redis.writing import RedisWriter
from service.memories.resources import StoreLimits
from service.memories.store import MemoryDescription, StoreUsage
from service.memories.writing_store import WritingStore


class RedisStore(WritingStore):
    """A `MemoryStore` in Redis 7 or later, or Valkey.

    It connects when it is first asked for something: until Redis answers, every method raises StoreUnavailable.

    :param url: redis://, rediss:// or unix://, with user, password and database; its parameter `prefix` begins every
        key, "attention:" by default.
    :param cache_directory: for copies of segments, made where there is none; other users may not enter it.
    :param limits: of bytes and times; the cache takes as many bytes as all memories may.
    :param clock: seconds since 1970; times to live assume that those of all replicas agree.
    :param has_upkeep: whether a thread in the background sweeps and compacts.
    :param on_expired: called with the number of memories that a sweep has removed, in the thread that sweeps.

    Raises ValueError for another URL.
    """

    def __init__(
        self,
        url: str,
        cache_directory: Path,
        limits: StoreLimits | None = None,
        *,
        clock: Callable[[], float] = time.time,
        has_upkeep: bool = True,
        on_expired: Callable[[int], None] | None = None,
    ) -> None:
        limits = limits or StoreLimits()
        address, prefix = split_prefix(url)
        connection, keys = RedisConnection(address), KeySpace(prefix)
        self._of = RedisResources(
            limits=limits,
            clock=clock,
            connection=connection,
            keys=keys,
            segments=SegmentStore(connection, keys, SegmentCache(cache_directory, limits.memories_bytes)),
            states=RedisStates(limits.cache_bytes),
        )
        self._reader = RedisReader(self._of)
        writer = RedisWriter(self._of, self._reader)
        super().__init__(writer)
        self._upkeep = Upkeep(self._of, writer, on_expired)
        self._is_closed = False
        if has_upkeep:
            self._upkeep.start()

    def snapshot(self, name: MemoryName, version: str | None = None) -> ArraySnapshot:
        """Return a memory for reading; see `MemoryStore.snapshot`."""
        return self._reader.snapshot(name, version)

    def loaded_snapshot(self, name: MemoryName, version: str | None = None) -> ArraySnapshot | None:
        """Return None: only Redis knows which version is current, and to ask it is to wait."""
        return None

    def describe(self, name: MemoryName) -> MemoryDescription:
        """Return the description of a memory; see `MemoryStore.describe`."""
        return self._reader.describe(name)

    def list(self, owner: str, limit: int, after: str = "") -> list[MemoryDescription]:
        """Return descriptions of an owner's memories, sorted by name; see `MemoryStore.list`."""
        return self._reader.page_of_owner(owner, limit, after)

    def usage(self) -> StoreUsage:
        """Return the number and the bytes of all memories."""
        stored, memories = self._of.connection.total(self._of.keys)
        return StoreUsage(memories, stored)

    def sweep(self) -> int:
        """Remove memories that have expired; return their number.

        Chunks that belong to none Redis removes itself.
        """
        return self._upkeep.sweep()

    def compact(self) -> int:
        """Merge the parts of memories that are due; return the number of memories."""
        return self._upkeep.compact()

    def close(self) -> None:
        """End the background work and close the connections; snapshots that are held stay valid."""
        if self._is_closed:
            return
        self._is_closed = True
        self._upkeep.close()
        self._of.connection.close()
