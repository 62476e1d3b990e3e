"""Locks that exclude threads and processes: ranges of one file, each released by the kernel when its process ends."""

import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from service.memories.naming import MemoryName

OPENING, UPKEEP = 0, 1
"""Bytes that are locked while a store is opened, and by the process that sweeps and compacts; names have others."""

_FLOCK = struct.Struct("hhqqi4x")
"""`struct flock` of Linux on machines of 64 bits: type, whence, start, length, process."""


class FileLocks:
    """Locks on names, one on opening and one on upkeep.

    Locks of the open file description (`F_OFD_SETLK`) belong to this object: two objects of one process exclude each
    other, as those of two processes do.  Names whose hashes meet share a lock, which costs time and nothing else.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._mutex = threading.Lock()
        self._in_process: dict[int, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, name: MemoryName) -> Iterator[None]:
        """Wait for the lock of a name, and hold it."""
        digest = blake2b("\0".join(name).encode(), digest_size=7).digest()
        with self._hold(1 + UPKEEP + int.from_bytes(digest, "little")):
            yield

    @contextmanager
    def hold_opening(self) -> Iterator[None]:
        """Wait for the lock of opening, and hold it."""
        with self._hold(OPENING):
            yield

    @contextmanager
    def try_upkeep(self) -> Iterator[bool]:
        """Hold the lock of upkeep if no other process does; yield whether it is held."""
        held = self._apply(fcntl.F_WRLCK, UPKEEP, wait=False)
        try:
            yield held
        finally:
            if held:
                self._apply(fcntl.F_UNLCK, UPKEEP)

    def close(self) -> None:
        """Give up every lock."""
        os.close(self._file)

    @contextmanager
    def _hold(self, place: int) -> Iterator[None]:
        with self._mutex:
            lock, users = self._in_process.get(place, (None, 0))
            lock = lock or threading.Lock()
            self._in_process[place] = lock, users + 1
        try:
            with lock:
                self._apply(fcntl.F_WRLCK, place)
                try:
                    yield
                finally:
                    self._apply(fcntl.F_UNLCK, place)
        finally:
            with self._mutex:
                lock, users = self._in_process[place]
                if users == 1:
                    del self._in_process[place]
                else:
                    self._in_process[place] = lock, users - 1

    def _apply(self, kind: int, place: int, *, wait: bool = True) -> bool:
        """Lock or unlock a byte; return whether that succeeded, which only one that does not wait may miss."""
        request = _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0)
        try:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK, request)
        except BlockingIOError:
            return False
        return True
