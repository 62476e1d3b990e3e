"""Whole lines on standard error, written without blocking: no request waits for a reader of the log."""

import errno
import fcntl
import io
import os
import select
import socket
import stat
import struct
import sys
import termios
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial

STANDARD_ERROR = 2

MAX_PENDING_BYTES = 4 * 1024 * 1024
"""Most bytes of lines that wait for a reader; further lines are dropped and counted."""

RETRY_SECONDS = 0.1
"""Time between two attempts to write a line to a full disk."""

MAX_FLUSH_SECONDS = 5.0
"""Longest wait at the end of a process for a reader that is slow, but reads."""

UNREAD_SECONDS = 1.0
"""Longest wait for a reader that reads nothing at all."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors that may pass: a full disk, an exhausted quota, a file at its largest size."""

Send = Callable[[bytes], int]
"""Writes as many bytes as possible without blocking and returns their number; raises BlockingIOError for none."""


class LineWriter:
    """Writes lines to a descriptor in order; any thread may call it, and no call blocks.

    A line is written at once if the descriptor accepts it, so that none is lost when the process is killed.  Otherwise
    it waits in memory, with the lines behind it, for a thread that writes it as soon as possible.  Lines that exceed
    MAX_PENDING_BYTES, or whose reader has gone, are dropped: `on_dropped` is called with their number, and
    `on_recovered` with the number of all dropped lines when a line can be written again.
    """

    def __init__(self, descriptor: int) -> None:
        self.on_dropped: Callable[[int], None] = _ignore
        self.on_recovered: Callable[[int], None] = _ignore
        self._descriptor = descriptor
        # Up to this length a pipe accepts a line whole or not at all.
        self._whole_bytes = select.PIPE_BUF if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else sys.maxsize
        self._send = self._sender()
        self._lock = threading.Lock()
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._unreported = 0
        self._has_pending = threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, line: bytes) -> None:
        """Write a line, which ends with a newline, or keep it until it can be written."""
        with self._lock:
            rest = line if self._pending or self._send is None else self._attempt(self._send, line)
            if not rest:
                return
            if self._pending_bytes + len(line) > MAX_PENDING_BYTES:
                self._drop(1)
                return
            self._pending.append(rest)
            self._pending_bytes += len(rest)
            self._has_pending.set()
            if self._thread is None:
                self._start()

    def flush(self) -> None:
        """Wait until every line is written, at most MAX_FLUSH_SECONDS, or UNREAD_SECONDS without any reading."""
        ends = time.monotonic() + MAX_FLUSH_SECONDS
        left, unread_ends = self._pending_bytes, time.monotonic() + UNREAD_SECONDS
        while self._pending and time.monotonic() < min(ends, unread_ends):
            time.sleep(0.005)
            if self._pending_bytes < left:
                left, unread_ends = self._pending_bytes, time.monotonic() + UNREAD_SECONDS

    def _sender(self) -> Send | None:
        """Return a function that writes without blocking; None for a descriptor that can only be written blocking.

        O_NONBLOCK on the descriptor itself would change it for every process that has inherited it, so a pipe and a
        terminal are opened once more.
        """
        mode = os.fstat(self._descriptor).st_mode
        if stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(self._descriptor)):
            return partial(os.write, self._descriptor)
        if stat.S_ISSOCK(mode):
            connected = socket.socket(fileno=os.dup(self._descriptor))
            weakref.finalize(self, connected.close)
            return lambda data: connected.send(data, socket.MSG_DONTWAIT)
        try:
            own = os.open(f"/proc/self/fd/{self._descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            return None
        weakref.finalize(self, os.close, own)
        return partial(os.write, own)

    def _start(self) -> None:
        """Start the thread; if the system allows no further thread now, the next line tries again."""
        thread = threading.Thread(target=self._run, name="log lines", daemon=True)
        with suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def _attempt(self, send: Send, line: bytes) -> bytes:
        """Write as much of a line as possible without blocking; return the rest."""
        try:
            if len(line) > self._whole_bytes and self._may_be_torn():
                return line
            sent = send(line)
            return b"" if sent == len(line) else line[sent:]
        except BlockingIOError:
            return line
        except OSError as error:
            if error.errno in FULL:
                return line
            self._drop(1)
            return b""

    def _may_be_torn(self) -> bool:
        """Return whether a pipe may accept only part of a long line, which lines of other processes could tear."""
        unread: int = struct.unpack("i", fcntl.ioctl(self._descriptor, termios.FIONREAD, bytes(4)))[0]
        return unread > 0

    def _drop(self, count: int) -> None:
        self._unreported += count
        self.on_dropped(count)

    def _run(self) -> None:
        """Write pending lines, as long as the process lives."""
        while self._has_pending.wait():
            chunk = self._next()
            if not chunk:
                self._report()
                continue
            try:
                self._await_room(chunk)
                self._taken((self._send or self._wait_and_send)(chunk))
            except BlockingIOError:
                self._poll()
            except OSError as error:
                if error.errno in FULL:
                    time.sleep(RETRY_SECONDS)
                else:
                    self._give_up(len(chunk))

    def _next(self) -> bytes:
        """Return the first pending lines, up to the length that a pipe accepts whole."""
        with self._lock:
            lines: list[bytes] = []
            size = 0
            for line in self._pending:
                size += len(line)
                if lines and size > select.PIPE_BUF:
                    break
                lines.append(line)
            if not lines:
                self._has_pending.clear()
            return b"".join(lines)

    def _wait_and_send(self, data: bytes) -> int:
        return os.write(self._descriptor, data)

    def _await_room(self, chunk: bytes) -> None:
        until = time.monotonic() + UNREAD_SECONDS
        while len(chunk) > self._whole_bytes and self._may_be_torn() and time.monotonic() < until:
            time.sleep(RETRY_SECONDS / 10)

    def _poll(self) -> None:
        writable = select.poll()
        writable.register(self._descriptor, select.POLLOUT)
        writable.poll(UNREAD_SECONDS * 1000)

    def _taken(self, size: int) -> int:
        """Forget the first `size` bytes of the pending lines; return how many lines they end."""
        ended = 0
        with self._lock:
            self._pending_bytes -= size
            while size:
                first = self._pending.popleft()
                if len(first) > size:
                    self._pending.appendleft(first[size:])
                else:
                    ended += 1
                size -= min(size, len(first))
        return ended

    def _give_up(self, size: int) -> None:
        count = self._taken(size)
        with self._lock:
            self._drop(count)

    def _report(self) -> None:
        with self._lock:
            count, self._unreported = self._unreported, 0
        if count:
            self.on_recovered(count)


class LineStream(io.TextIOBase):
    """Standard error for handlers of logs, and for everything that prints: its lines go through a writer."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer
        self._begun = ""

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def fileno(self) -> int:
        """Return the descriptor, which processes that are started inherit."""
        return STANDARD_ERROR

    def write(self, text: str) -> int:
        """Pass whole lines on, and keep a line that no newline has ended yet."""
        lines, newline, self._begun = (self._begun + text).rpartition("\n")
        if newline:
            self._writer.write((lines + newline).encode(errors="backslashreplace"))
        return len(text)


def open_missing_streams() -> None:
    """Open the null device for each standard stream that is closed: a socket must not get its number."""
    for descriptor in range(STANDARD_ERROR + 1):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(opened, True)  # noqa: FBT003 - it takes no name


def standard_error() -> LineWriter:
    """Return the one writer of this process for the present file of standard error, or for the null device."""
    try:
        status = os.fstat(STANDARD_ERROR)
    except OSError:
        return _writer_of(None)
    return _writer_of((status.st_dev, status.st_ino))


@lru_cache(maxsize=1)
def _writer_of(file: tuple[int, int] | None) -> LineWriter:
    # The number of a closed descriptor would be that of the next file that is opened.
    return LineWriter(os.open(os.devnull, os.O_WRONLY) if file is None else STANDARD_ERROR)


def _ignore(_count: int) -> None:
    """Do nothing."""
