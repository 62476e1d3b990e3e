"""One process's view of a memory: the row that it saw last, and the arrays where they were asked for."""

import threading
from collections.abc import Sequence

from service.memories.arrays import ArraySnapshot, MemoryArrays
from service.memories.naming import MemoryName
from service.memories.redis.rows import RedisRow
from service.memories.segment import Rows
from service.memories.state import RecentStates


class LoadedArrays:
    """The arrays of one generation of a memory, with its first appends.

    :param row: the memory.
    :param rows: the keys of its segments; at least one part.
    """

    def __init__(self, row: RedisRow, rows: Sequence[Rows]) -> None:
        self._mutex = threading.Lock()
        self._arrays = MemoryArrays(row.form, rows[0], row.keys)
        for more in rows[1:]:
            self._arrays.append(more)
        self.generation = row.generation
        self._seen = row.first, row.first_version

    @property
    def nbytes(self) -> int:
        """Bytes of memory that other processes do not share."""
        return self._arrays.nbytes

    @property
    def seen(self) -> tuple[int, str]:
        """The number of appends in the arrays, and the version that the last one made."""
        return self._seen

    def extend(self, first: int, appended: Sequence[tuple[str, Rows]]) -> None:
        """Add appends that are not in the arrays yet: other threads may have added some of them.

        :param first: number of the first append.
        :param appended: version and keys of each.
        """
        with self._mutex:
            sequence, _ = self._seen
            for version, rows in appended[max(0, sequence - first) :]:
                self._arrays.append(rows)
                sequence += 1
                self._seen = sequence, version

    def snapshot(self, row: RedisRow, used: float) -> ArraySnapshot:
        """Return the version of a row, all of whose keys are in the arrays; others may be behind them.

        :param row: the memory.
        :param used: now, in seconds since 1970.
        """
        with self._mutex:
            return ArraySnapshot(row.description(used), *self._arrays.views(row.keys), self._arrays.labels)


class RedisState:
    """What a process knows of a memory."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        """Held by the thread that loads the arrays."""
        self.row: RedisRow | None = None
        """As it was at some time; its form is that of its generation."""
        self.arrays: LoadedArrays | None = None


class RedisStates(RecentStates[MemoryName, RedisState]):
    """The states of the memories that were used last."""

    def get(self, name: MemoryName) -> RedisState:
        """Return the state of a memory, a new one where none is kept."""
        return self.obtain(name, RedisState)

    def known(self) -> dict[MemoryName, str]:
        """Return the generations of the memories that have a state."""
        with self._mutex:
            return {name: state.row.generation for name, state in self._states.items() if state.row is not None}
