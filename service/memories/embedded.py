"""The embedded store: memories in a directory of this machine, shared by all processes that open it.

A put writes a segment and then a row of the catalogue; an append writes a record to the log of the memory, which the
row names.  Writers of one memory hold its lock.  Readers hold none: they find a row and open the files that it names,
which never change but behind the end of the log.
"""

import time
from collections.abc import Callable
from pathlib import Path

from service.memories import parts, uses
from service.memories.arrays import ArraySnapshot
from service.memories.catalogue import Catalogue
from service.memories.files import storage_errors, sync_directory
from service.memories.locks import FileLocks
from service.memories.maintenance import Maintenance
from service.memories.naming import MemoryName
from service.memories.parts import PartFiles
from service.memories.private import make_private
from service.memories.reading import MemoryReader
from service.memories.reserve import Reserve
from service.memories.resources import StoreLimits, StoreResources
from service.memories.state import StateCache
from service.memories.store import MemoryDescription, StoreUsage
from service.memories.syncing import LogSyncer
from service.memories.uses import Uses
from service.memories.writing import MemoryWriter
from service.memories.writing_store import WritingStore

CATALOGUE, LOCKS, RESERVE = "catalogue.sqlite3", "locks", "reserve"

ENTRIES = (CATALOGUE, f"{CATALOGUE}-wal", f"{CATALOGUE}-shm", LOCKS, RESERVE, *parts.DIRECTORIES, uses.DIRECTORY)
"""Names of what the directory of a store holds."""


class EmbeddedStore(WritingStore):
    """A `MemoryStore` in a directory.

    :param directory: made where there is none; other users may not enter it, nor read its files.
    :param limits: of bytes and times.
    :param clock: seconds since 1970.
    :param has_upkeep: whether a thread in the background sweeps and compacts.
    :param on_expired: called with the number of memories that a sweep has removed, in the thread that sweeps.
    """

    def __init__(
        self,
        directory: Path,
        limits: StoreLimits | None = None,
        *,
        clock: Callable[[], float] = time.time,
        has_upkeep: bool = True,
        on_expired: Callable[[int], None] | None = None,
    ) -> None:
        limits = limits or StoreLimits()
        make_private(directory, ENTRIES, CATALOGUE)
        locks = FileLocks(directory / LOCKS)
        # Two processes that switch a new database to write-ahead mode at once do not wait for each other.
        with storage_errors(), locks.hold_opening():
            self._of = StoreResources(
                limits=limits,
                clock=clock,
                catalogue=Catalogue(directory / CATALOGUE),
                files=PartFiles(directory),
                locks=locks,
                states=StateCache(limits.cache_bytes),
                syncer=LogSyncer(),
                uses=Uses(directory, clock),
                reserve=Reserve(directory / RESERVE),
            )
            sync_directory(directory)
        self._reader = MemoryReader(self._of)
        writer = MemoryWriter(self._of, self._reader)
        super().__init__(writer)
        self._maintenance = Maintenance(self._of, writer, on_expired)
        self._is_closed = False
        if has_upkeep:
            self._maintenance.start()

    def snapshot(self, name: MemoryName, version: str | None = None) -> ArraySnapshot:
        """Return a memory for reading; see `MemoryStore.snapshot`."""
        with storage_errors():
            return self._reader.snapshot(name, version)

    def loaded_snapshot(self, name: MemoryName, version: str | None = None) -> ArraySnapshot | None:
        """Return a memory for reading if that needs no wait; see `MemoryStore.loaded_snapshot`."""
        with storage_errors():
            return self._reader.loaded_snapshot(name, version)

    def describe(self, name: MemoryName) -> MemoryDescription:
        """Return the description of a memory; see `MemoryStore.describe`."""
        with storage_errors():
            return self._reader.describe(name)

    def list(self, owner: str, limit: int, after: str = "") -> list[MemoryDescription]:
        """Return descriptions of an owner's memories, sorted by name; see `MemoryStore.list`."""
        with storage_errors():
            return self._reader.list(owner, limit, after)

    def usage(self) -> StoreUsage:
        """Return the number and the bytes of all memories."""
        with storage_errors():
            file_bytes, memories = self._of.catalogue.total()
        return StoreUsage(memories, file_bytes)

    def sweep(self) -> int:
        """Remove memories that have expired, and files that belong to none; return the number of memories."""
        with storage_errors():
            return self._maintenance.sweep()

    def compact(self) -> int:
        """Merge the parts of memories that are due; return the number of memories."""
        with storage_errors():
            return self._maintenance.compact()

    def close(self) -> None:
        """Write everything to the disk and end; snapshots that are held stay valid."""
        if self._is_closed:
            return
        self._is_closed = True
        self._maintenance.close()
        self._of.syncer.close()
        self._of.locks.close()
        self._of.catalogue.close()
