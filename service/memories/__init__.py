"""Memories: keys and values that are put once, appended to, and queried often.

`MemoryStore` is the interface, `EmbeddedStore` keeps memories in a directory; `docs/adr/0002-memories.md` says how.
"""

from service.keys import EVERYONE
from service.memories.access import Memories, MemoryAccess, MustWait, Stopping, reserve_nothing
from service.memories.conditions import entity_tag, read_precondition
from service.memories.embedded import EmbeddedStore
from service.memories.naming import MEMORY_VERSION_FIELD, NAME, NAME_IN_WORDS, MemoryName
from service.memories.opening import open_memories, open_store, why_unusable
from service.memories.resources import StoreLimits, StorePlace
from service.memories.store import (
    ALWAYS,
    MemoryDescription,
    MemoryOptions,
    MemorySnapshot,
    MemoryStore,
    MemoryTensors,
    Precondition,
    StoreUsage,
)

__all__ = [
    "ALWAYS",
    "EVERYONE",
    "MEMORY_VERSION_FIELD",
    "NAME",
    "NAME_IN_WORDS",
    "EmbeddedStore",
    "Memories",
    "MemoryAccess",
    "MemoryDescription",
    "MemoryName",
    "MemoryOptions",
    "MemorySnapshot",
    "MemoryStore",
    "MemoryTensors",
    "MustWait",
    "Precondition",
    "Stopping",
    "StoreLimits",
    "StorePlace",
    "StoreUsage",
    "entity_tag",
    "open_memories",
    "open_store",
    "read_precondition",
    "reserve_nothing",
    "why_unusable",
]
