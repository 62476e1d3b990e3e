"""The writes of every store: its writer does them, and expired memories make room where the quota is in the way."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, TypeVar

from service.memories.arrays import ArraySnapshot
from service.memories.errors import QuotaExceeded
from service.memories.naming import MemoryName
from service.memories.store import ALWAYS, MemoryDescription, MemoryOptions, MemoryTensors, Precondition

Result = TypeVar("Result")


class Writer(Protocol):
    """Writes memories, as the methods of `MemoryStore` with these names say."""

    def put(
        self, name: MemoryName, tensors: MemoryTensors, options: MemoryOptions, condition: Precondition
    ) -> tuple[MemoryDescription, bool]:
        """Create or replace a memory."""
        ...

    def append(self, name: MemoryName, tensors: MemoryTensors, condition: Precondition) -> MemoryDescription:
        """Add keys."""
        ...

    def append_and_read(self, name: MemoryName, tensors: MemoryTensors, condition: Precondition) -> ArraySnapshot:
        """Add keys and return a snapshot."""
        ...

    def delete(self, name: MemoryName, condition: Precondition) -> None:
        """Remove a memory."""
        ...


class WritingStore(ABC):
    """The part of a `MemoryStore` that writes.

    :param writer: of the store.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def put(
        self, name: MemoryName, tensors: MemoryTensors, options: MemoryOptions, condition: Precondition = ALWAYS
    ) -> tuple[MemoryDescription, bool]:
        """Create or replace a memory; see `MemoryStore.put`."""
        return self._with_room(lambda: self._writer.put(name, tensors, options, condition))

    def append(self, name: MemoryName, tensors: MemoryTensors, condition: Precondition = ALWAYS) -> MemoryDescription:
        """Add keys behind those of a memory; see `MemoryStore.append`."""
        return self._with_room(lambda: self._writer.append(name, tensors, condition))

    def append_and_read(
        self, name: MemoryName, tensors: MemoryTensors, condition: Precondition = ALWAYS
    ) -> ArraySnapshot:
        """Add keys, and return a snapshot of this version; see `MemoryStore.append_and_read`."""
        return self._with_room(lambda: self._writer.append_and_read(name, tensors, condition))

    def delete(self, name: MemoryName, condition: Precondition = ALWAYS) -> None:
        """Remove a memory; see `MemoryStore.delete`."""
        self._writer.delete(name, condition)

    @abstractmethod
    def sweep(self) -> int:
        """Remove memories that have expired; return their number."""

    def _with_room(self, write: Callable[[], Result]) -> Result:
        """Return the result of a write; once expired memories are swept where the quota of all is in its way.

        A sweep takes the locks of others, so none is held around it.
        """
        try:
            return write()
        except QuotaExceeded as error:
            if error.setting != "memories_bytes" or not self.sweep():
                raise
        return write()
