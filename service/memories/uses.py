"""When memories with a time to live were last used: the time of modification of an empty file for each.

The kernel keeps that time in memory and writes it to the disk every few seconds, so that a read writes nothing itself.
"""

import os
from collections.abc import Callable
from pathlib import Path

from service.memories.catalogue import Row
from service.memories.files import FILE_MODE
from service.memories.naming import FILE_ID
from service.memories.private import make_private_directory

DIRECTORY = "uses"

NANOSECONDS = 1_000_000_000


class Uses:
    """The times at which memories were last used.

    :param root: directory of the store.
    :param clock: seconds since 1970.
    """

    def __init__(self, root: Path, clock: Callable[[], float]) -> None:
        self._directory = root / DIRECTORY
        make_private_directory(self._directory)
        self._clock = clock

    def record(self, row: Row) -> None:
        """Note that a memory is used now."""
        if row.options.ttl_seconds is None:
            return
        path = self._directory / row.generation
        now = int(self._clock() * NANOSECONDS)
        try:
            os.utime(path, ns=(now, now))
        except FileNotFoundError:
            path.touch(mode=FILE_MODE)
            os.utime(path, ns=(now, now))

    def expires(self, row: Row) -> float | None:
        """Return when a memory expires unless it is used before; None for never."""
        if row.options.ttl_seconds is None:
            return None
        try:
            used = (self._directory / row.generation).stat().st_mtime
        except FileNotFoundError:
            used = row.modified
        return used + row.options.ttl_seconds

    def has_expired(self, row: Row) -> bool:
        """Return whether the time to live of a memory is over."""
        expires = self.expires(row)
        return expires is not None and expires <= self._clock()

    def forget(self, generation: str) -> None:
        """Remove the file of a memory."""
        (self._directory / generation).unlink(missing_ok=True)

    def generations(self) -> list[str]:
        """Return the generations that have a file."""
        return [path.name for path in self._directory.iterdir() if FILE_ID.fullmatch(path.name)]
