"""The interface of a store of memories: keys, values and labels of keys, each set under an owner and a name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from service.memories.errors import VersionMismatch
from service.memories.naming import MemoryName

Durability = Literal["strict", "relaxed"]
"""When an append is done: once it is on the disk, or at most 100 ms before it is."""


@dataclass(frozen=True, slots=True)
class MemoryTensors:
    """Tensors to be stored.

    :param key: (…, Lk, D), or (B, Lk, H, D) in the layout "bshd"; in the NumPy type that the house has for their dtype:
        that of the dtype, and float32 for bfloat16.
    :param value: the same with its own number of features; None for none.
    :param labels: a text for each key; None for none.
    :param dtype: to which the numbers are rounded, of an append: the memory must have the same; None for unchecked.
    """

    key: NDArray[Any]
    value: NDArray[Any] | None = None
    labels: Sequence[str] | None = None
    dtype: str | None = None


@dataclass(frozen=True, slots=True)
class MemoryOptions:
    """Options that are fixed when a memory is put.

    :param dtype: "float64", "float32", "float16" or "bfloat16".
    :param layout: "bhsd", or "bshd" for tensors of rank 4.
    :param ttl_seconds: seconds since the last read or write after which the memory expires; None for never.
    :param durability: of appends; a put is always on the disk when it returns.
    :param note: any text.
    :param shards: processes of a Ray cluster that hold a range of the keys each; None for as many as its size asks for.
    """

    dtype: str = "float64"
    layout: str = "bhsd"
    ttl_seconds: float | None = None
    durability: Durability = "strict"
    note: str | None = None
    shards: int | None = None


@dataclass(frozen=True, slots=True)
class Precondition:
    """The header fields If-Match and If-None-Match of a request (RFC 9110, 13.1).

    :param absent: whether there must be no memory of the name, as `If-None-Match: *` asks.
    :param versions: versions of which one must be current, as `If-Match` lists them; None for any state.
    :param present: whether there must be a memory of the name, as `If-Match: *` asks.
    :param excluded: versions of which none must be current, as `If-None-Match` lists them.
    """

    absent: bool = False
    versions: tuple[str, ...] | None = None
    present: bool = False
    excluded: tuple[str, ...] = ()

    def check(self, name: MemoryName, current: str | None) -> None:
        """Raise VersionMismatch unless the precondition of a write holds.

        :param name: the memory.
        :param current: its version; None where there is none.
        """
        self.check_match(name, current)
        if self.excludes(current):
            expected = "no memory of this name" if self.absent else "a version that If-None-Match does not list"
            raise VersionMismatch(name, expected, current)

    def check_match(self, name: MemoryName, current: str | None) -> None:
        """Raise VersionMismatch unless If-Match holds, which is evaluated first (RFC 9110, 13.2.2).

        :param name: the memory.
        :param current: its version; None where there is none.
        """
        if self.present and current is None:
            raise VersionMismatch(name, "a memory of this name", current)
        if self.versions is not None and current not in self.versions:
            listed = " or ".join(map(repr, self.versions))
            expected = f"version {listed}" if listed else "a version in If-Match without W/, which never matches"
            raise VersionMismatch(name, expected, current)

    def excludes(self, current: str | None) -> bool:
        """Return whether If-None-Match does not hold: a write fails, and a reader has this version already.

        :param current: version of the memory; None where there is none.
        """
        return current is not None and (self.absent or current in self.excluded)


ALWAYS = Precondition()
"""The precondition that every state meets."""


@dataclass(frozen=True, slots=True)
class MemoryDescription:
    """One version of a memory without its tensors.

    :param version: opaque; never used twice for a name.
    :param key_shape: of the keys.
    :param value_shape: of the values; None for none.
    :param keys: number of keys, Lk.
    :param bytes: of tensors and labels as they are stored.
    :param labels: whether keys have labels.
    :param created: when the memory was put, in seconds since 1970.
    :param modified: when this version was made.
    :param expires: when the memory expires unless it is used before; None for never.
    """

    name: str
    version: str
    key_shape: tuple[int, ...]
    value_shape: tuple[int, ...] | None
    keys: int
    bytes: int
    labels: bool
    created: float
    modified: float
    expires: float | None
    options: MemoryOptions


class MemorySnapshot(Protocol):
    """One version of a memory for reading; it stays as it is while others append, replace or delete."""

    @property
    def description(self) -> MemoryDescription:
        """The version."""
        ...

    @property
    def key(self) -> NDArray[Any]:
        """Keys, read-only, in the NumPy type of the dtype, `BFLOAT16` for bfloat16; rows are contiguous, other
        axes may not be.
        """
        ...

    @property
    def value(self) -> NDArray[Any] | None:
        """Values as `key`; None for none."""
        ...

    @property
    def labels(self) -> Sequence[str] | None:
        """A text for each key; None for none."""
        ...


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """What all memories of a store hold.

    :param memories: their number.
    :param bytes: bytes of their files, spare room of logs included; the quota of all counts these.
    """

    memories: int
    bytes: int


class MemoryStore(Protocol):
    """A store of memories, synchronous and safe to use from many threads and processes.

    Every method may raise StoreUnavailable or StoreDamaged, and every method with a name MemoryDamaged.
    """

    def put(
        self, name: MemoryName, tensors: MemoryTensors, options: MemoryOptions, condition: Precondition = ALWAYS
    ) -> tuple[MemoryDescription, bool]:
        """Create or replace a memory; return its description and whether it is new.

        :param name: owner and name.
        :param tensors: keys, values and labels.
        :param options: dtype, layout, time to live, durability of appends, note, shards.
        :param condition: checked in the same step; default none.

        Raises VersionMismatch, IncompatibleTensors, QuotaExceeded or StorageFull; a memory is then as before.
        """
        ...

    def append(self, name: MemoryName, tensors: MemoryTensors, condition: Precondition = ALWAYS) -> MemoryDescription:
        """Add keys behind those of a memory; return the description of its new version.

        :param name: owner and name.
        :param tensors: shapes as those of the memory but for the number of keys; values and labels if it has them.
        :param condition: checked in the same step; default none.

        Raises MemoryNotFound, VersionMismatch, IncompatibleTensors, QuotaExceeded or StorageFull; the memory is then as
        before.
        """
        ...

    def append_and_read(
        self, name: MemoryName, tensors: MemoryTensors, condition: Precondition = ALWAYS
    ) -> MemorySnapshot:
        """Add keys as `append` does; return a snapshot of just this version, whatever is appended after it.

        :param name: owner and name.
        :param tensors: as for `append`.
        :param condition: checked in the same step; default none.
        """
        ...

    def snapshot(self, name: MemoryName, version: str | None = None) -> MemorySnapshot:
        """Return a memory for reading; its time to live begins anew.

        :param name: owner and name.
        :param version: the only one that will do; default the current one.

        Raises MemoryNotFound or VersionGone.
        """
        ...

    def loaded_snapshot(self, name: MemoryName, version: str | None = None) -> MemorySnapshot | None:
        """Return a snapshot as `snapshot` does where that waits neither for a file nor for another thread, else None.

        For callers that must not wait: an event loop that answers small requests itself.

        :param name: owner and name.
        :param version: the only one that will do; default the current one.

        Raises MemoryNotFound or VersionGone.
        """
        ...

    def describe(self, name: MemoryName) -> MemoryDescription:
        """Return the description of a memory; no use that the time to live counts from.

        :param name: owner and name.

        Raises MemoryNotFound.
        """
        ...

    def list(self, owner: str, limit: int, after: str = "") -> list[MemoryDescription]:
        """Return descriptions of an owner's memories, sorted by name.

        :param owner: of the memories.
        :param limit: maximum number of them.
        :param after: the name behind which the list begins; default the first.
        """
        ...

    def delete(self, name: MemoryName, condition: Precondition = ALWAYS) -> None:
        """Remove a memory.

        :param name: owner and name.
        :param condition: checked in the same step; default none.

        Raises MemoryNotFound or VersionMismatch.
        """
        ...

    def usage(self) -> StoreUsage:
        """Return the number and the bytes of all memories."""
        ...

    def sweep(self) -> int:
        """Remove memories that have expired, and files that belong to none; return the number of memories."""
        ...

    def compact(self) -> int:
        """Merge the parts of memories that are due; return the number of memories."""
        ...

    def close(self) -> None:
        """Write everything to the disk and end; snapshots that are held stay valid."""
        ...
