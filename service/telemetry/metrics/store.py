"""A store of numbers under keys, for one process or for the processes of one service.

Each process writes numbers of its own; a reader takes a snapshot of every process.
"""

import threading
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

Key = tuple[str, ...]
"""The name of a metric, then the values of its labels."""

MAX_SLOTS = 8192
"""Numbers of one process.  Labels take their values from closed sets, which have fewer combinations altogether."""


@dataclass(frozen=True, slots=True)
class MetricSnapshot:
    """The numbers of one process.

    :param numbers: by key.
    :param alive: whether the process is: the gauges of a dead one are no longer true.
    :param own: whether it is the process that reads them; default True, as of the only one.
    """

    numbers: Mapping[Key, float]
    alive: bool
    own: bool = True


class MetricStore:
    """The numbers of the only process; any thread may write and read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[Key, int] = {}
        self._numbers: array[float] | memoryview[float] = array("d", bytes(8 * MAX_SLOTS))

    def slot(self, key: Key) -> int:
        """Return the index of a number, for `add` and `set`; the number is 0 until something is added."""
        with self._lock:
            slot = self._slots.get(key)
            return self._allocate(key) if slot is None else slot

    def add(self, *entries: tuple[int, float]) -> None:
        """Add amounts to numbers, given as (slot, amount); a snapshot in this process has all of them or none."""
        numbers = self._numbers
        with self._lock:
            for slot, amount in entries:
                numbers[slot] += amount

    def set(self, slot: int, number: float) -> None:
        """Replace a number."""
        with self._lock:
            self._numbers[slot] = number

    def snapshots(self) -> list[MetricSnapshot]:
        """Return the numbers of every process."""
        with self._lock:
            return [MetricSnapshot({key: self._numbers[slot] for key, slot in self._slots.items()}, alive=True)]

    def _allocate(self, key: Key) -> int:
        slot = self._slots[key] = len(self._slots)
        return slot
