"""Errors of memories.

::

    MemoryStoreError
    ├── MemoryNotFound          no memory of this owner and name
    ├── VersionMismatch         a write that was asked of another version
    ├── VersionGone             a snapshot that was asked of another version
    ├── IncompatibleTensors     tensors that do not fit each other, or the memory that they extend
    ├── QuotaExceeded           more bytes than one memory, or all together, may hold
    ├── StorageFull             file system or Redis takes no more; the memory is as before
    ├── MemoryDamaged           a file that is missing, shortened or changed
    ├── StoreDamaged            the catalogue itself is damaged
    ├── UnsuitableDirectory     a directory that is not the store's own
    ├── StoreUnavailable        the store does not answer; worth trying again
    └── StoreOff                this service keeps no memories
"""

from collections.abc import Iterator
from contextlib import contextmanager

from service.memories.naming import MemoryName


class MemoryStoreError(Exception):
    """Base of every error that a store raises on purpose; its text is for the person who sent the request."""


class _OfMemory(MemoryStoreError):
    """An error that concerns one memory.

    :param name: the memory.
    :param text: expected, received, and what to change.
    """

    def __init__(self, name: MemoryName, text: str) -> None:
        self.name = name
        super().__init__(text)


class MemoryNotFound(_OfMemory):
    """The owner has no memory of this name, or it has expired."""

    def __init__(self, name: MemoryName) -> None:
        super().__init__(name, f"expected the name of a memory; received {name.name!r}, which does not exist.")


class VersionMismatch(_OfMemory):
    """A precondition of a write does not hold.

    :param current: version of the memory; None where there is none.
    """

    def __init__(self, name: MemoryName, expected: str, current: str | None) -> None:
        self.current = current
        found = "none, since there is no memory of this name" if current is None else f"version {current!r}"
        super().__init__(name, f"expected {expected}; received {found}. Read the memory, and send its version or none.")


class VersionGone(_OfMemory):
    """A snapshot was asked of a version that is not the current one.

    :param version: as asked.
    :param current: version of the memory.
    """

    def __init__(self, name: MemoryName, version: str, current: str) -> None:
        self.version = version
        self.current = current
        super().__init__(
            name, f"expected the current version of {name.name!r}, {current!r}; received {version!r}, which is gone."
        )


class IncompatibleTensors(MemoryStoreError):
    """Tensors fit neither each other nor the memory that they are appended to.

    :param field: "key", "value", "labels.key", "dtype" or "layout".
    :param expected: what would fit.
    :param received: what came.
    """

    def __init__(self, field: str, expected: str, received: str) -> None:
        self.field = field
        self.expected = expected
        self.received = received
        super().__init__(f"expected {expected}; received {received} as {field}.")


class QuotaExceeded(MemoryStoreError):
    """A write needs more bytes than a quota allows; nothing is changed.

    :param setting: "memory_bytes" for one memory, "memories_bytes" for all together.
    :param limit_bytes: the quota.
    :param required_bytes: bytes that would be held after the write.
    """

    def __init__(self, setting: str, limit_bytes: int, required_bytes: int) -> None:
        self.setting = setting
        self.limit_bytes = limit_bytes
        self.required_bytes = required_bytes
        scope = "one memory" if setting == "memory_bytes" else "all memories together"
        super().__init__(
            f"expected at most {limit_bytes} bytes for {scope}; received {required_bytes}. Send fewer keys, or delete "
            "memories that are not needed."
        )


class StorageFull(MemoryStoreError):
    """The file system has no room for a write, or allows no file of its length, or Redis is at its limit of memory; the
    memory is as before.
    """

    def __init__(self, reason: str) -> None:
        found = f"{reason[:1].lower()}{reason[1:]}"
        super().__init__(
            f"expected room where the memories are kept; received: {found}. Delete memories that are not needed."
        )


class MemoryDamaged(_OfMemory):
    """A file of a memory is missing, shortened or changed; other memories work.

    :param reason: the file, and how it is damaged.
    """

    def __init__(self, name: MemoryName, reason: str) -> None:
        self.reason = reason
        super().__init__(
            name, f"expected the memory {name.name!r} as it was stored; received {reason}. Delete or replace it."
        )


class StoreDamaged(MemoryStoreError):
    """The catalogue of all memories is damaged: none can be read."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"expected the catalogue of the memories as it was stored; received: {reason}. Restore the directory, or "
            "begin with an empty one."
        )


class UnsuitableDirectory(MemoryStoreError):
    """The directory of a store holds files of something else, or one that another user has put there.

    :param found: the file, and why it does not belong there.
    """

    def __init__(self, found: str) -> None:
        super().__init__(
            f"expected a directory of its own for the memories; received {found}. Name another one, or remove that."
        )


class StoreUnavailable(MemoryStoreError):
    """The store does not answer.

    :param retry_seconds: after which trying again makes sense.
    """

    def __init__(self, reason: str, retry_seconds: float = 1) -> None:
        self.retry_seconds = retry_seconds
        super().__init__(f"expected an answer of the store of memories; received: {reason}. Try again later.")


class StoreOff(MemoryStoreError):
    """The service keeps no memories.

    :param reason: why, as "ATTENTION_MEMORIES_DIRECTORY is empty".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"expected a service that keeps memories; received a request to one that does not: {reason}. Send key and "
            "value instead, or ask its operator."
        )


class DamagedFile(Exception):
    """A file is missing, shortened or changed; the store says of which memory it is (`MemoryDamaged`)."""


@contextmanager
def damage_of(name: MemoryName) -> Iterator[None]:
    """Raise MemoryDamaged for a file or a record that is damaged.

    :param name: the memory that it belongs to.
    """
    try:
        yield
    except DamagedFile as error:
        raise MemoryDamaged(name, str(error)) from error
