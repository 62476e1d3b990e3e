"""Files of a store: created under a lock, made durable, and found again when the process that made them was killed."""

import errno
import fcntl
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.memories.errors import DamagedFile, StorageFull, StoreDamaged, StoreUnavailable

WRITE_BYTES = 4 * 1024 * 1024
"""Bytes that are checked and written at a time, so that the checksum reads them from the processor's cache."""

PART_SUFFIX = ".part"
"""Suffix of a file that is still being written."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a file system without room, and of one that allows no file of this length."""

PRIMARY_CODE = 0xFF
"""Bits of an error code of SQLite that name the error; others say more about it."""

FILE_MODE = 0o600
"""Mode of files that are written to."""

Buffer = bytes | memoryview


class Descriptor:
    """An open file that is closed with the last reference to it, since other threads may still be reading.

    Symbolic links are not followed, and a pipe is not waited for.
    """

    def __init__(self, path: Path, flags: int) -> None:
        self.number = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, FILE_MODE)

    def __del__(self) -> None:
        """Close the file; one that could not be opened has no number."""
        with suppress(AttributeError, OSError):
            os.close(self.number)


class NewFile:
    """A file that is being made: others leave it alone until it is closed, which is after the catalogue names it.

    :param directory: where it is made, and stays.
    :param name: its name once it is whole.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.path = directory / name
        self._part = directory / (name + PART_SUFFIX)
        self._descriptor = _create_locked(self._part)
        self.size = 0
        self.checksum = 0

    def write(self, buffers: Iterable[Buffer]) -> None:
        """Write buffers one behind the other, and go on with length and checksum."""
        for buffer in buffers:
            view = memoryview(buffer).cast("B")
            for first in range(0, len(view), WRITE_BYTES):
                piece = view[first : first + WRITE_BYTES]
                self.checksum = zlib.crc32(piece, self.checksum)
                self.size += len(piece)
                while piece:
                    piece = piece[os.write(self._descriptor.number, piece) :]

    def publish(self, mode: int) -> None:
        """Make the file durable under its name."""
        os.fchmod(self._descriptor.number, mode)
        os.fsync(self._descriptor.number)
        self._part.rename(self.path)
        sync_directory(self.path.parent)

    def discard(self) -> None:
        """Remove the file."""
        self._part.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def _create_locked(path: Path) -> Descriptor:
    """Return a new file, open and locked; made once more if a sweep has removed it before it was locked."""
    while True:
        descriptor = Descriptor(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        fcntl.flock(descriptor.number, fcntl.LOCK_EX)
        if os.fstat(descriptor.number).st_nlink:
            return descriptor


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_existing(path: Path, size: int, flags: int = os.O_RDONLY) -> Descriptor:
    """Return an open file.

    :param path: of the file.
    :param size: bytes that it must have.
    :param flags: of `os.open`.

    Raises FileNotFoundError, since a compaction may have replaced the file, or DamagedFile.
    """
    try:
        descriptor = Descriptor(path, flags)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise DamagedFile(f"{path.name} as a symbolic link") from error
    found = os.fstat(descriptor.number).st_size
    if found != size:
        raise DamagedFile(f"{path.name} with {found} bytes instead of {size}")
    return descriptor


def abandoned(paths: Iterable[Path]) -> Iterator[tuple[Path, Descriptor]]:
    """Yield files that no process is making, each open and locked against a process that would be."""
    for path in paths:
        try:
            descriptor = Descriptor(path, os.O_RDONLY)
            fcntl.flock(descriptor.number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, FileNotFoundError):
            continue
        yield path, descriptor


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise StorageFull where there is no room, StoreUnavailable for a database that is locked for long, and
    StoreDamaged for one that is damaged.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StorageFull(os.strerror(error.errno)) from error
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
        # SQLite says SQLITE_FULL for ENOSPC and SQLITE_IOERR_WRITE for the other errors in `FULL`.
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
            raise StorageFull(str(error)) from error
        if code & PRIMARY_CODE in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreUnavailable(str(error)) from error
        if code & PRIMARY_CODE in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise StoreDamaged(str(error)) from error
        raise
