"""The memories of one process, and those that one request may reach."""

import builtins
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import Protocol, TypeVar

from service.keys import EVERYONE
from service.memories.errors import (
    MemoryDamaged,
    MemoryNotFound,
    MemoryStoreError,
    StoreOff,
    StoreUnavailable,
    VersionMismatch,
)
from service.memories.naming import MemoryName
from service.memories.resources import StorePlace
from service.memories.store import (
    ALWAYS,
    MemoryDescription,
    MemoryOptions,
    MemorySnapshot,
    MemoryStore,
    MemoryTensors,
    Precondition,
)

Result = TypeVar("Result")


class MustWait(Exception):
    """A memory is not at hand without waiting for a file or another thread, which an event loop must not do."""


class Stopping(Exception):
    """A request has ended before its write began; nothing is written."""


class MemoryMeter(Protocol):
    """Counts reads of memories and appends, for the metrics."""

    def memory_read(self) -> None:
        """Count a request that reads a memory."""
        ...

    def memory_appended(self) -> None:
        """Count an append."""
        ...


class Memories:
    """The memories of a process.

    :param store: keeps them; None for a service without memories.
    :param off: why there is no store, as "ATTENTION_MEMORIES_DIRECTORY is empty".
    :param meter: counts reads and appends; None for none.
    :param place: where other processes find the store; None for one of this process alone.
    """

    def __init__(
        self,
        store: MemoryStore | None,
        off: str = "",
        meter: MemoryMeter | None = None,
        place: StorePlace | None = None,
    ) -> None:
        self._store = store
        self._off = off
        self.meter = meter
        self.place = place

    @property
    def store(self) -> MemoryStore:
        """The store; raises StoreOff where there is none."""
        if self._store is None:
            raise StoreOff(self._off)
        return self._store

    def require_kept(self) -> None:
        """Raise StoreOff where there is no store."""
        if self._store is None:
            raise StoreOff(self._off)

    @property
    def are_kept(self) -> bool:
        """Whether there is a store."""
        return self._store is not None

    def close(self) -> None:
        """End the store, if there is one."""
        if self._store is not None:
            self._store.close()


def reserve_nothing(_: int) -> None:
    """Reserve no memory, where no budget counts it."""


class MemoryAccess:
    """The memories that one request may reach: those of its owner, and those that belong to everyone.

    An owner's own memory hides one of everyone's of the same name.

    :param memories: of the process.
    :param owner: of the API key of the request; EVERYONE without keys.
    :param condition: of the header fields If-Match and If-None-Match.
    """

    __slots__ = (
        "_ended",
        "_found",
        "_has_begun",
        "_lock",
        "_opened",
        "_written",
        "condition",
        "may_wait",
        "memories",
        "owner",
        "reserve",
    )

    def __init__(self, memories: Memories, owner: str = EVERYONE, condition: Precondition = ALWAYS) -> None:
        self.memories = memories
        self.owner = owner
        self.condition = condition
        self.may_wait = False
        """Whether the request is in a thread, where it may wait for files."""
        self.reserve: Callable[[int], None] = reserve_nothing
        """Waits in that thread until the request holds that number of further bytes."""
        self._opened: dict[str, MemorySnapshot] = {}
        self._found: dict[str, MemoryName] = {}
        self._has_begun = False
        self._written: MemoryDescription | None = None
        self._ended = False
        self._lock = Lock()

    def in_thread(self, reserve: Callable[[int], None]) -> None:
        """Let the request wait.

        :param reserve: waits until the request holds a number of further bytes.
        """
        self.may_wait = True
        self.reserve = reserve

    def require_thread(self) -> None:
        """Raise MustWait unless the request is in a thread."""
        if not self.may_wait:
            raise MustWait

    def open(self, name: str, version: str | None = None, *, anew: bool = False) -> MemorySnapshot:
        """Return a memory for reading; a request that opens it several times sees one version of it.

        :param name: of the memory.
        :param version: the only one that will do; None for the current one.
        :param anew: whether to read the current version whatever the request has seen before.

        Raises MustWait, MemoryNotFound, VersionGone, MemoryDamaged, StoreOff, StoreDamaged or StoreUnavailable.
        """
        found = None if anew else self._opened.get(name)
        if found is not None and version in (None, found.description.version):
            return found
        store = self.memories.store

        def take(one: MemoryName) -> MemorySnapshot | None:
            taken = store.snapshot(one, version) if self.may_wait else store.loaded_snapshot(one, version)
            self._found[name] = one
            return taken

        snapshot = self._among(name, take)
        if snapshot is None:
            raise MustWait
        self._opened[name] = snapshot
        if self.memories.meter is not None:
            self.memories.meter.memory_read()
        return snapshot

    def found_name(self, name: str) -> MemoryName:
        """Return the owner and the name of a memory that `open` or `append_and_read` has returned."""
        return self._found[name]

    def require(self, description: MemoryDescription) -> None:
        """Raise VersionMismatch unless the header fields of the request allow this version."""
        self.condition.check(MemoryName(self.owner, description.name), description.version)

    def describe(self, name: str) -> MemoryDescription:
        """Return the description of a memory; raises what `open` raises but MustWait and VersionGone."""
        return self._among(name, self.memories.store.describe)

    def put(self, name: str, tensors: MemoryTensors, options: MemoryOptions) -> tuple[MemoryDescription, bool]:
        """Create or replace a memory as `MemoryStore.put` does; raises Stopping if the request has ended."""
        with self._writing():
            while True:
                found = self._name_of(name)
                is_shared = found.owner != self.owner
                # What an owner makes is never everyone's: one of everyone's is replaced only while it is there.
                condition = replace(self.condition, present=True) if is_shared else self.condition
                try:
                    self._written, is_new = self.memories.store.put(found, tensors, options, condition)
                except VersionMismatch as error:
                    if not is_shared or error.current is not None:
                        raise
                else:
                    return self._written, is_new

    def append(self, name: str, tensors: MemoryTensors) -> MemoryDescription:
        """Add keys as `MemoryStore.append` does; raises Stopping if the request has ended."""
        found = self._name_of(name)
        with self._writing():
            self._written = self.memories.store.append(found, tensors, self.condition)
        self._count_append()
        return self._written

    def append_and_read(self, name: str, tensors: MemoryTensors, condition: Precondition) -> MemorySnapshot:
        """Add keys, and return just this version as `MemoryStore.append_and_read` does.

        :param name: of the memory.
        :param tensors: to add.
        :param condition: checked in the same step, instead of that of the header fields.

        Raises Stopping if the request has ended.
        """
        found = self._name_of(name)
        with self._writing():
            snapshot = self.memories.store.append_and_read(found, tensors, condition)
            self._found[name] = found
            self._written = snapshot.description
        self._count_append()
        return snapshot

    def delete(self, name: str) -> None:
        """Remove a memory as `MemoryStore.delete` does; raises Stopping if the request has ended.

        The precondition of a memory that does not exist counts for nothing (RFC 9110, 13.2.1): MemoryNotFound.
        """
        with self._writing():
            self._among(name, self._delete)

    def list(self, limit: int, after: str = "") -> list[MemoryDescription]:
        """Return the descriptions of the first memories whose names sort behind `after`, by name."""
        store = self.memories.store
        own = store.list(self.owner, limit, after)
        if self.owner == EVERYONE:
            return own
        named = {one.name: one for one in store.list(EVERYONE, limit, after)} | {one.name: one for one in own}
        return [named[name] for name in sorted(named)][:limit]

    def names(self, limit: int) -> builtins.list[str]:
        """Return the first names of memories."""
        return [one.name for one in self.list(limit)]

    def end(self) -> tuple[str, str | None]:
        """Let no write begin any more, since the request is answered without its result.

        Returns a sentence on what has been written, with a space in front, empty if that is nothing; and the version
        that the write has made, None if there is none or if it is not known yet.
        """
        with self._lock:
            self._ended = True
        if self._written is not None:
            name, version = self._written.name, self._written.version
            return f" Before that the memory {name!r} was changed: its version is {version!r}.", version
        if self._has_begun:
            return " Whether the memory was changed is not known yet: read it before you send this again.", None
        return "", None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Begin a write; raise Stopping if the request has ended.  One that the store refuses has changed nothing."""
        with self._lock:
            if self._ended:
                raise Stopping
            self._has_begun = True
        try:
            yield
        except StoreUnavailable:
            # The store may have done it without having said so.
            raise
        except MemoryStoreError:
            self._has_begun = False
            raise

    def _count_append(self) -> None:
        if self.memories.meter is not None:
            self.memories.meter.memory_appended()

    def _delete(self, name: MemoryName) -> None:
        try:
            self.memories.store.delete(name, self.condition)
        except VersionMismatch as error:
            if error.current is None:
                raise MemoryNotFound(name) from None
            raise

    def _name_of(self, name: str) -> MemoryName:
        """Return what a name means for a write: a memory of the owner, or of everyone, or a new one of the owner."""
        own, shared = MemoryName(self.owner, name), MemoryName(EVERYONE, name)
        if self.owner == EVERYONE or self._exists(own) or not self._exists(shared):
            return own
        return shared

    def _exists(self, name: MemoryName) -> bool:
        """Return whether there is a memory, whole or damaged: a damaged one can be replaced."""
        try:
            self.memories.store.describe(name)
        except MemoryNotFound:
            return False
        except MemoryDamaged:
            pass
        return True

    def _among(self, name: str, act: Callable[[MemoryName], Result]) -> Result:
        """Return the result for the owner's memory of a name, or else for everyone's."""
        if self.owner != EVERYONE:
            try:
                return act(MemoryName(self.owner, name))
            except MemoryNotFound:
                pass
        return act(MemoryName(EVERYONE, name))
