"""Open the store that the settings name."""

import logging
from collections.abc import Callable
from pathlib import Path

from service.memories.access import Memories, MemoryMeter
from service.memories.embedded import EmbeddedStore
from service.memories.errors import MemoryStoreError
from service.memories.resources import StoreLimits
from service.memories.store import MemoryStore
from service.settings import Settings

log = logging.getLogger("service.memories")

EMPTY = "ATTENTION_MEMORIES_DIRECTORY is empty"


def open_memories(
    settings: Settings, meter: MemoryMeter | None = None, on_expired: Callable[[int], None] | None = None
) -> Memories:
    """Return the memories of this process.

    Without a setting the directory is that of the platform; where that cannot be used, as in a read-only container, the
    service works without memories and says why.

    :param settings: of the service.
    :param meter: counts reads and appends.
    :param on_expired: called with the number of memories that a sweep has removed.

    Raises OSError or MemoryStoreError for a directory that a setting names and that cannot be used.
    """
    if not settings.memories_directory:
        return Memories(None, EMPTY, meter)
    limits = StoreLimits(settings.memories_bytes, settings.memory_bytes)
    try:
        return Memories(_open(settings, limits, on_expired), meter=meter)
    except (OSError, MemoryStoreError) as error:
        if "memories_directory" in settings.model_fields_set or settings.memories_url:
            log.critical("the memories in ATTENTION_MEMORIES_DIRECTORY cannot be opened: %s", error)
            raise
        reason = f"the directory of its state cannot be used ({error}); set ATTENTION_MEMORIES_DIRECTORY"
        log.warning("memories are off: %s", reason)
        return Memories(None, "the directory of its state cannot be used", meter)


def _open(settings: Settings, limits: StoreLimits, on_expired: Callable[[int], None] | None) -> MemoryStore:
    directory = Path(settings.memories_directory)
    return EmbeddedStore(directory, limits, on_expired=on_expired)
