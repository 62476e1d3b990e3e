"""One process's view of a memory: how far it has read the log, and the arrays where they were asked for."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import inf
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from service.memories.append_log import Appended, LogPosition, TornRecord, log_start, read_records
from service.memories.arrays import MemoryArrays
from service.memories.catalogue import Part, Row
from service.memories.errors import DamagedFile
from service.memories.files import Descriptor
from service.memories.parts import PartFiles, closed_parts

SYNC_SECONDS = 0.1
"""Longest time in which a relaxed append reaches the disk."""

MAX_STATES = 4096
"""Memories whose state a process keeps."""


class MemoryEnd(NamedTuple):
    """The current version of a memory, and where its log ends.

    :param version: after the last append.
    :param keys: number of keys.
    :param bytes: of tensors and labels.
    :param modified: when the version was made.
    :param log_id: the log that takes appends; empty for none.
    :param position: in this log, behind the last record.
    """

    version: str
    keys: int
    bytes: int
    modified: float
    log_id: str
    position: LogPosition


def start_of(row: Row) -> MemoryEnd:
    """Return the end of a memory whose log has no record yet."""
    log_id = "" if row.log is None else row.log.file_id
    return MemoryEnd(row.version, row.keys, row.bytes, row.modified, log_id, log_start(log_id))


class MemoryState:
    """The state of a memory; its methods need `mutex`.

    :param row: the memory in the catalogue.
    """

    def __init__(self, row: Row) -> None:
        self.mutex = threading.Lock()
        self.end = start_of(row)
        self.arrays: MemoryArrays | None = None
        self.is_verified = False
        """Whether this process has read all files of the memory, as they were stored."""
        self.cleared_log = ""
        """The log behind whose records this process has seen zeros alone."""

    @property
    def is_loaded(self) -> bool:
        """Whether the arrays are in this process."""
        return self.arrays is not None

    def follow(self, row: Row, open_log: Callable[[Part], Descriptor]) -> None:
        """Read the appends that the logs of a row hold beyond those already read.

        :param row: the memory in the catalogue.
        :param open_log: opens a log.

        Raises FileNotFoundError where the row is out of date, TornRecord in the last log, or DamagedFile.
        """
        for part in self._closed_since(row):
            try:
                self._read(part, row, open_log)
            except TornRecord as error:
                raise DamagedFile(f"a closed log with {error.reason or 'a record that was cut off'}") from None
            if self.end.position.offset != part.check:
                raise DamagedFile(f"a closed log with records up to byte {self.end.position.offset}")
        if row.log is None or row.log.file_id != self.end.log_id:
            if self.end.version != row.version:
                self.arrays = None
            self.end = start_of(row)
        if row.log is not None:
            self._read(row.log, row, open_log)

    def extend(self, appended: Appended, position: LogPosition) -> None:
        """Go to the version that an append made, which ends at a position."""
        end, rows = self.end, appended.rows
        nbytes = end.bytes + sum(tensor.nbytes for tensor in rows.tensors) + len(rows.labels)
        self.end = MemoryEnd(appended.version, end.keys + rows.keys, nbytes, appended.modified, end.log_id, position)
        if self.arrays is not None:
            self.arrays.append(rows)

    def _closed_since(self, row: Row) -> list[Part]:
        """Return the log that this process has read from, and those behind it, if they have been closed since."""
        closed = closed_parts(row)
        read = [place for place, part in enumerate(closed) if part.file_id == self.end.log_id]
        logs = [*closed[read[0] :]] if read else []
        # What a segment holds, the arrays are loaded from.
        return [] if any(part.kind == "segment" for part in logs) else logs

    def _read(self, log: Part, row: Row, open_log: Callable[[Part], Descriptor]) -> None:
        """Read the appends of a log from the end of this state, or from the start of another log."""
        if log.file_id != self.end.log_id:
            self.end = self.end._replace(log_id=log.file_id, position=log_start(log.file_id))
        unsynced = -inf if row.options.durability == "strict" else SYNC_SECONDS
        end = log.check if log.kind == "closed_log" else log.size
        if self.end.position.offset >= end:
            return
        for appended, position in read_records(open_log(log), self.end.position, row.form, unsynced):
            self.extend(appended, position)
            if position.offset >= end:
                return

    def load(self, row: Row, files: PartFiles) -> MemoryArrays:
        """Read the parts of a row that take no appends into arrays, and go to the start of its log.

        Raises FileNotFoundError where the row is out of date, or DamagedFile.
        """
        first, *others = closed_parts(row)
        arrays = MemoryArrays(row.form, files.read(first, row), row.keys)
        for part in others:
            arrays.append(files.read(part, row))
        self.arrays, self.end = arrays, start_of(row)
        return arrays


class CachedArrays(Protocol):
    """The arrays of a memory, which take bytes of this process."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory that other processes do not share."""
        ...


class CachedState(Protocol):
    """A state whose arrays may be dropped by one who holds its mutex."""

    mutex: threading.Lock
    arrays: Any
    """`CachedArrays`, or None."""


Key = TypeVar("Key", bound=Hashable)
State = TypeVar("State", bound=CachedState)


class RecentStates(Generic[Key, State]):
    """The states of the memories that were used last; every thread may use it.

    :param max_bytes: of arrays that are kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._states: OrderedDict[Key, State] = OrderedDict()
        self._mutex = threading.Lock()

    def obtain(self, key: Key, make: Callable[[], State]) -> State:
        """Return the state of a memory, a new one where none is kept."""
        with self._mutex:
            state = self._states.get(key)
            if state is None:
                state = self._states[key] = make()
                if len(self._states) > MAX_STATES:
                    self._states.popitem(last=False)
            self._states.move_to_end(key)
            return state

    def forget(self, key: Key) -> None:
        """Drop the state of a memory that was replaced or deleted."""
        with self._mutex:
            self._states.pop(key, None)

    def trim(self) -> None:
        """Drop the arrays that were used longest ago until the others fit; those of the last memory used stay."""
        with self._mutex:
            states = list(self._states.values())
        held = 0
        for place, state in enumerate(reversed(states)):
            arrays: CachedArrays | None = state.arrays
            held += 0 if arrays is None else arrays.nbytes
            if place and held > self._max_bytes and arrays is not None and state.mutex.acquire(blocking=False):
                state.arrays = None
                held -= arrays.nbytes
                state.mutex.release()

    def keep_only(self, keys: set[Key]) -> None:
        """Drop the states of memories that other processes have replaced or deleted."""
        with self._mutex:
            for key in set(self._states) - keys:
                del self._states[key]


class StateCache(RecentStates[str, MemoryState]):
    """The states of an embedded store by the generations of memories."""

    def get(self, row: Row) -> MemoryState:
        """Return the state of a memory, a new one where none is kept."""
        return self.obtain(row.generation, lambda: MemoryState(row))
