"""Numbers under names, of one process or of several.

Each process writes a page of its own; whoever wants to know reads the pages of all.
"""

import threading
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

Key = tuple[str, ...]
"""What a number is called: a name, then the values of its labels."""

CELLS = 8192
"""Numbers on a page.  Labels take their values from closed sets, of which all combinations together are fewer."""


@dataclass(frozen=True, slots=True)
class Page:
    """The numbers of one process, and whether it is still alive: if not, what it was doing is no longer true."""

    numbers: Mapping[Key, float]
    alive: bool


class Ledger:
    """The page of this process, which has no colleagues; any thread may write and read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[Key, int] = {}
        self._cells: array[float] | memoryview[float] = array("d", bytes(8 * CELLS))

    def place(self, key: Key) -> int:
        """Return where a number stands, for `add` and `put`; it is 0 until something is added."""
        with self._lock:
            place = self._places.get(key)
            return self._enter(key) if place is None else place

    def add(self, *entries: tuple[int, float]) -> None:
        """Add amounts to the numbers at some places, all of them before anybody of this process reads one."""
        cells = self._cells
        with self._lock:
            for place, amount in entries:
                cells[place] += amount

    def put(self, place: int, number: float) -> None:
        """Set a number that is not added up."""
        with self._lock:
            self._cells[place] = number

    def pages(self) -> list[Page]:
        """Return what every process has written."""
        with self._lock:
            return [Page({key: self._cells[place] for key, place in self._places.items()}, alive=True)]

    def _enter(self, key: Key) -> int:
        """Give a number its place."""
        place = self._places[key] = len(self._places)
        return place
