"""Memories: keys and values that are put once, appended to, and queried often.

`MemoryStore` is the interface, `EmbeddedStore` keeps memories in a directory; `docs/adr/0002-memories.md` says how.
"""

from service.memories.embedded import EmbeddedStore
from service.memories.naming import NAME, MemoryName
from service.memories.resources import StoreLimits
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
    "NAME",
    "EmbeddedStore",
    "MemoryDescription",
    "MemoryName",
    "MemoryOptions",
    "MemorySnapshot",
    "MemoryStore",
    "MemoryTensors",
    "Precondition",
    "StoreLimits",
    "StoreUsage",
]
