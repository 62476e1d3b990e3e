"""Open the store that the settings name."""

import logging
from collections.abc import Callable
from pathlib import Path

from service.memories.access import Memories, MemoryMeter
from service.memories.embedded import EmbeddedStore
from service.memories.errors import MemoryStoreError
from service.memories.resources import StoreLimits, StorePlace
from service.memories.store import MemoryStore
from service.settings import Settings

log = logging.getLogger("service.memories")

CACHE = "redis"
"""The directory in that of the memories for copies of segments that are kept in Redis."""

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

    Raises OSError or MemoryStoreError for a directory that a setting names and that cannot be used, and ValueError for
    a URL that the client of Redis does not take.
    """
    if not settings.memories_directory:
        return Memories(None, EMPTY, meter)
    limits = StoreLimits(settings.memories_bytes, settings.memory_bytes)
    place = StorePlace(str(Path(settings.memories_directory).absolute()), settings.memories_url, limits)
    try:
        return Memories(open_store(place, on_expired), meter=meter, place=place)
    except (OSError, MemoryStoreError) as error:
        if _is_asked_for(settings):
            raise
        reason = f"the directory of its state cannot be used ({error}); set ATTENTION_MEMORIES_DIRECTORY"
        log.warning("memories are off: %s", reason)
        return Memories(None, "the directory of its state cannot be used", meter)


def why_unusable(settings: Settings) -> tuple[str, str] | None:
    """Return the setting that names a directory or a URL which cannot be used, and why; None if they can.

    Whether a server answers at the URL does not matter yet.

    :param settings: of the service.
    """
    if not _is_asked_for(settings):
        return None
    try:
        open_memories(settings).close()
    except ValueError as error:
        return "memories_url", str(error)
    except (OSError, MemoryStoreError) as error:
        return "memories_directory", str(error)
    return None


def _is_asked_for(settings: Settings) -> bool:
    """Return whether a setting says where the memories are kept."""
    return "memories_directory" in settings.model_fields_set or bool(settings.memories_url)


def open_store(
    place: StorePlace, on_expired: Callable[[int], None] | None = None, *, has_upkeep: bool = True
) -> MemoryStore:
    """Return the store at a place.

    :param place: where it is.
    :param on_expired: called with the number of memories that a sweep has removed.
    :param has_upkeep: whether a thread sweeps and merges.

    Raises what `open_memories` raises for a setting that names a place.
    """
    directory = Path(place.directory)
    if not place.url:
        return EmbeddedStore(directory, place.limits, has_upkeep=has_upkeep, on_expired=on_expired)
    # The client of Redis is an extra.
    from service.memories.redis import RedisStore  # noqa: PLC0415

    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return RedisStore(place.url, directory / CACHE, place.limits, has_upkeep=has_upkeep, on_expired=on_expired)
