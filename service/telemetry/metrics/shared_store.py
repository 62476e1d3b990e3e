"""A metric store for several processes, which keep their numbers in the files of one directory.

The file ``3.cells`` holds the numbers of one process, which maps it into memory: writing a number costs no system call,
and none is lost when the process is killed.  ``3.names`` holds the key of each number, one a line.

A process holds a lock on its file, which the kernel releases however the process ends.  So a reader can tell whether
the process is alive; and a process that replaces a dead one continues its file: counters never go backwards, and there
are at most as many files as there were processes at once.
"""

import fcntl
import mmap
import os
from itertools import count
from pathlib import Path

import orjson

from service.telemetry.metrics.store import MAX_SLOTS, Key, MetricSnapshot, MetricStore

NUMBER_BYTES = 8


class SharedMetricStore(MetricStore):
    """The numbers of this process, beside those of the other processes of a directory."""

    def __init__(self, directory: Path, gauges: frozenset[str]) -> None:
        """Open a free file of the directory; set the `gauges` of its previous process to 0, since they are stale."""
        super().__init__()
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._file, names = _lock_free_file(directory)
        self._cells = names.with_suffix(".cells")
        self._names = os.open(names, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._numbers = memoryview(mmap.mmap(self._file, NUMBER_BYTES * MAX_SLOTS)).cast("d")
        lines = _whole_lines(names)
        # A process killed within a write leaves half a line, which would run into the next name.
        os.ftruncate(self._names, len(lines))
        for slot, key in enumerate(_parse_names(lines)):
            self._slots[key] = slot
            if key[0] in gauges:
                self._numbers[slot] = 0.0

    def snapshots(self) -> list[MetricSnapshot]:
        """Return the numbers of every process, including those that have ended."""
        with self._lock:
            files = sorted(self._directory.glob("*.cells"))
            return [_read_snapshot(cells, own=cells == self._cells) for cells in files]

    def _allocate(self, key: Key) -> int:
        # Write the name before the number, so that a reader never finds a number without its name.
        os.write(self._names, orjson.dumps(key) + b"\n")
        return super()._allocate(key)


def _lock_free_file(directory: Path) -> tuple[int, Path]:
    """Return the first file of numbers that no living process holds, open and locked, and the path of its names."""
    for number in count():
        cells = directory / f"{number}.cells"
        file = os.open(cells, os.O_RDWR | os.O_CREAT, 0o600)
        if _lock(file, fcntl.LOCK_EX):
            if os.fstat(file).st_size == 0:
                # Write zeros instead of extending the file: without memory the start fails, not a later request.
                os.pwrite(file, bytes(NUMBER_BYTES * MAX_SLOTS), 0)
            return file, cells.with_suffix(".names")
        os.close(file)
    raise AssertionError("count() does not end")


def _lock(file: int, kind: int) -> bool:
    """Lock a file and return True, or return False where another process holds a lock against it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_snapshot(cells: Path, *, own: bool) -> MetricSnapshot:
    """Return the numbers of a file, and whether its process is alive.

    :param cells: the file.
    :param own: whether it is that of this process.
    """
    with cells.open("rb") as file:
        names = _parse_names(_whole_lines(cells.with_suffix(".names")))
        numbers = memoryview(file.read(NUMBER_BYTES * len(names))).cast("d")
        alive = not _lock(file.fileno(), fcntl.LOCK_SH)
        return MetricSnapshot(dict(zip(names, numbers, strict=False)), alive=alive, own=own)


def _whole_lines(path: Path) -> bytes:
    """Return the file up to its last newline: a write that crosses a memory page may be seen, or end, half done."""
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        return b""  # the process has just begun
    return written[: written.rfind(b"\n") + 1]


def _parse_names(lines: bytes) -> list[Key]:
    return [tuple(orjson.loads(line)) for line in lines.splitlines()]
