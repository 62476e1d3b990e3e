"""A directory of this machine with copies of segments, which all processes share.

Every copy can be fetched again: nothing is synced, and a damaged one is replaced.  A copy that is removed stays
readable for the processes that have it open or mapped.
"""

import os
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from service.memories.files import FULL, PART_SUFFIX, Buffer
from service.memories.private import make_private_directory
from service.memories.segment import SUFFIX

READ_ONLY = 0o400

ABANDONED_SECONDS = 3600
"""Time without a write after which a copy that is not whole was left by a process that was killed."""


class CacheFile:
    """A copy that is being made; without a directory that takes it, nothing.

    :param directory: of the cache.
    """

    def __init__(self, directory: Path) -> None:
        self._descriptor: int | None = None
        self._part: Path | None = None
        try:
            self._descriptor, path = tempfile.mkstemp(suffix=PART_SUFFIX, dir=directory)
            self._part = Path(path)
        except OSError:
            self._descriptor = None

    @property
    def is_kept(self) -> bool:
        """Whether everything so far has been written."""
        return self._descriptor is not None

    def write(self, buffers: Iterable[Buffer]) -> None:
        """Write buffers, one behind the other; where there is no room the copy is given up."""
        if self._descriptor is None:
            return
        try:
            for buffer in buffers:
                piece = memoryview(buffer).cast("B")
                while piece:
                    piece = piece[os.write(self._descriptor, piece) :]
        except OSError as error:
            self.discard()
            if error.errno not in FULL:
                raise

    def publish(self, path: Path) -> bool:
        """Give the copy its name; return whether it could be made."""
        if self._descriptor is None or self._part is None:
            return False
        os.fchmod(self._descriptor, READ_ONLY)
        self._part.rename(path)
        os.close(self._descriptor)
        self._descriptor = None
        return True

    def discard(self) -> None:
        """Remove the copy."""
        if self._descriptor is not None and self._part is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._part.unlink(missing_ok=True)


class SegmentCache:
    """Copies of segments; every thread and process may use it.

    :param directory: made where there is none; other users may not enter it.
    :param max_bytes: of all copies; those used longest ago are removed.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        make_private_directory(directory)

    def path(self, segment_id: str) -> Path:
        """Return the path of the copy of a segment."""
        return self._directory / (segment_id + SUFFIX)

    def create(self) -> CacheFile:
        """Return a copy that is to be written."""
        with suppress(OSError):
            make_private_directory(self._directory)
        return CacheFile(self._directory)

    def publish(self, file: CacheFile, segment_id: str) -> bool:
        """Give a copy its name, and make room for it; return whether there is one."""
        if not file.publish(self.path(segment_id)):
            return False
        self.trim(kept=segment_id)
        return True

    def touch(self, segment_id: str) -> None:
        """Note that a copy is used now."""
        with suppress(OSError):
            os.utime(self.path(segment_id))

    def remove(self, segment_ids: Iterable[str]) -> None:
        """Remove the copies of segments."""
        for segment_id in segment_ids:
            with suppress(OSError):
                self.path(segment_id).unlink()

    def trim(self, kept: str = "") -> None:
        """Remove the copies that were used longest ago until the others fit, and those that were left unfinished.

        :param kept: a segment whose copy stays.
        """
        held, abandoned = 0, time.time() - ABANDONED_SECONDS
        for used, size, path in sorted(self._entries(), reverse=True):
            if path.suffix == PART_SUFFIX:
                is_removed = used < abandoned
            else:
                held += size
                is_removed = held > self._max_bytes and path != self.path(kept)
            if is_removed:
                with suppress(OSError):
                    path.unlink()
                held -= size if path.suffix == SUFFIX else 0

    def _entries(self) -> list[tuple[float, int, Path]]:
        """Return time of the last use, bytes and path of every file."""
        entries = []
        with suppress(FileNotFoundError):
            for path in self._directory.iterdir():
                with suppress(FileNotFoundError):
                    state = path.stat()
                    entries.append((state.st_mtime, state.st_size, path))
        return entries
