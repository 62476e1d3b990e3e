"""The resources that reading, writing and maintenance of an embedded store share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from service.memories.catalogue import Catalogue
from service.memories.locks import FileLocks
from service.memories.parts import PartFiles
from service.memories.reserve import Reserve
from service.memories.state import StateCache
from service.memories.syncing import LogSyncer
from service.memories.uses import Uses


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Limits of a store.

    :param memories_bytes: of the files of all memories.
    :param memory_bytes: of the tensors and labels of one memory.
    :param cache_bytes: of arrays that a process keeps between reads, mapped segments left out.
    :param idle_seconds: after the last append to a memory of up to 64 MiB, when its log becomes part of a segment; a
        larger memory waits longer in proportion.
    """

    memories_bytes: int = 4 * 1024**3
    memory_bytes: int = 1024**3
    cache_bytes: int = 256 * 1024**2
    idle_seconds: float = 10


class StorePlace(NamedTuple):
    """Where a store is, for any process that opens it."""

    directory: str
    url: str
    """Of Redis; empty for the store in the directory."""
    limits: StoreLimits


@dataclass(frozen=True, slots=True)
class StoreResources:
    """The parts of an embedded store.

    :param clock: seconds since 1970.
    """

    limits: StoreLimits
    clock: Callable[[], float]
    catalogue: Catalogue
    files: PartFiles
    locks: FileLocks
    states: StateCache
    syncer: LogSyncer
    uses: Uses
    reserve: Reserve
