"""Locks that exclude threads and processes: ranges of one file, each released by the kernel when its process ends."""

import fcntl
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from service.memories.errors import StoreUnavailable
from service.memories.naming import MemoryName
from service.memories.private import make_private_file

OPENING, UPKEEP = 0, 1
"""Bytes that are locked while a store is opened, and by the process that sweeps and compacts; names have others."""

WAIT_SECONDS = 30
"""Longest wait for a lock: a process that is stopped in the middle of a write must not stop all others."""

MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.0001, 0.001
"""Pauses between attempts: the kernel could wait itself, but without a limit of time."""

_FLOCK = struct.Struct("hhqqi4x")
"""`struct flock` of Linux on machines of 64 bits: type, whence, start, length, process."""


class FileLocks:
    """Locks on names, one on opening and one on upkeep.

    Locks of the open file description (`F_OFD_SETLK`) belong to this object: two objects of one process exclude each
    other, as those of two processes do.  Names whose hashes meet share a lock, which costs time and nothing else.
    """

    def __init__(self, path: Path) -> None:
        make_private_file(path)
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._mutex = threading.Lock()
        self._threads: dict[int, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, name: MemoryName) -> Iterator[None]:
        """Wait for the lock of a name, and hold it.

        Raises StoreUnavailable where others hold it for longer than `WAIT_SECONDS`.
        """
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
        held = self._try(UPKEEP)
        try:
            yield held
        finally:
            if held:
                self._release(UPKEEP)

    def close(self) -> None:
        """Give up every lock."""
        os.close(self._file)

    @contextmanager
    def _hold(self, place: int) -> Iterator[None]:
        until = time.monotonic() + WAIT_SECONDS
        with self._in_process(place, until):
            pause = MIN_PAUSE_SECONDS
            while not self._try(place):
                if time.monotonic() > until:
                    raise StoreUnavailable("another process holds the lock of the memory")
                time.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE_SECONDS)
            try:
                yield
            finally:
                self._release(place)

    @contextmanager
    def _in_process(self, place: int, until: float) -> Iterator[None]:
        """Hold a lock among the threads of this process."""
        with self._mutex:
            lock, users = self._threads.get(place, (None, 0))
            lock = lock or threading.Lock()
            self._threads[place] = lock, users + 1
        try:
            if not lock.acquire(timeout=max(0.0, until - time.monotonic())):
                raise StoreUnavailable("another request holds the lock of the memory")
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._mutex:
                _, users = self._threads.pop(place)
                if users > 1:
                    self._threads[place] = lock, users - 1

    def _try(self, place: int) -> bool:
        """Lock a byte unless another description of the file has it; return whether that succeeded."""
        try:
            self._apply(fcntl.F_WRLCK, place)
        except BlockingIOError:
            return False
        return True

    def _release(self, place: int) -> None:
        self._apply(fcntl.F_UNLCK, place)

    def _apply(self, kind: int, place: int) -> None:
        fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0))
