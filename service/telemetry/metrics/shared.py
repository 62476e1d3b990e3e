"""The ledger of several processes: one page each, in files of one directory.

The file ``3.cells`` is the third page's numbers, which its process maps into memory, so that writing one costs no call
of the system and none is lost when the process is killed.  ``3.names`` has the name of each number, one a line.

A process holds a lock on its page, which the kernel releases however the process ends.  So a reader can tell whether
the page's process is alive; and the process that replaces a dead one goes on with its page: counters never go backwards
and there are never more pages than there were processes at once.
"""

import fcntl
import mmap
import os
from itertools import count
from pathlib import Path

import orjson

from service.telemetry.metrics.ledger import CELLS, Key, Ledger, Page

NUMBER_BYTES = 8


class SharedLedger(Ledger):
    """The page of this process, among those of its colleagues."""

    def __init__(self, directory: Path, momentary: frozenset[str]) -> None:
        """Take a free page; of what is `momentary`, a predecessor's numbers are not true any more."""
        super().__init__()
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._file, names = _take_page(directory)
        self._names = os.open(names, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._cells = memoryview(mmap.mmap(self._file, NUMBER_BYTES * CELLS)).cast("d")
        for place, key in enumerate(_read_names(names)):
            self._places[key] = place
            if key[0] in momentary:
                self._cells[place] = 0.0

    def pages(self) -> list[Page]:
        """Return what every process has written, those that have ended included."""
        with self._lock:
            return [_read_page(cells) for cells in sorted(self._directory.glob("*.cells"))]

    def _enter(self, key: Key) -> int:
        # The name is there before the number, and one write is never cut in two by the end of a process.
        os.write(self._names, orjson.dumps(key) + b"\n")
        return super()._enter(key)


def _take_page(directory: Path) -> tuple[int, Path]:
    """Return the first page that no living process holds, locked, and where its names are."""
    for number in count():
        cells = directory / f"{number}.cells"
        file = os.open(cells, os.O_RDWR | os.O_CREAT, 0o600)
        if _lock(file, fcntl.LOCK_EX):
            if os.fstat(file).st_size == 0:
                # Written, not only made longer: with no memory left the start fails, not a request later on.
                os.pwrite(file, bytes(NUMBER_BYTES * CELLS), 0)
            return file, cells.with_suffix(".names")
        os.close(file)
    raise AssertionError("there is a page after each page")


def _lock(file: int, kind: int) -> bool:
    """Whether nobody else holds a lock against it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_page(cells: Path) -> Page:
    """Return a page and whether its process, which may be this one, is alive."""
    with cells.open("rb") as file:
        names = _read_names(cells.with_suffix(".names"))
        numbers = memoryview(file.read(NUMBER_BYTES * len(names))).cast("d")
        return Page(dict(zip(names, numbers, strict=False)), alive=not _lock(file.fileno(), fcntl.LOCK_SH))


def _read_names(path: Path) -> list[Key]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []  # its process has only just begun
    return [tuple(orjson.loads(line)) for line in lines]
