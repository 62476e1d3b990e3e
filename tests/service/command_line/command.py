"""Running the command line as a person would: with files, pipes or a terminal as its streams."""

import errno
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from io import FileIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from unittest import mock

from service.cli import main

PYTHON = [sys.executable, "-m", "service.cli"]
HONOR = {
    "query": [[2, 1, 1, 0], [0, 0.5, 1, 2]],
    "key": [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]],
    "value": [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]],
    "labels": {"query": ["团战", "drake"], "key": ["射手", "jungler 打野", "中路", "上路"]},
}


def run(*arguments: str, body: Any = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command with files in place of its three streams; a body goes to the standard input.

    It runs in this process, which has loaded already what takes the command most of its time.
    """
    sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ATTENTION_", "NO_COLOR", "OPENBLAS_"))
    }
    with ExitStack() as stack:
        given, out, err = (stack.enter_context(TemporaryFile()) for _ in range(3))
        given.write(sent or b"")
        given.seek(0)
        stack.enter_context(mock.patch.dict(os.environ, {**kept, **environment}, clear=True))
        for stream, file in enumerate((given, out, err)):
            stack.enter_context(_in_place_of(stream, file.fileno()))
        said = stack.enter_context(redirect_stderr(TextIOWrapper(FileIO(2, "w", closefd=False), write_through=True)))
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        said.flush()
        whole = [os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0) for file in (out, err)]
    assert b"Traceback" not in whole[1]
    return subprocess.CompletedProcess(arguments, code, *whole)


@contextmanager
def _in_place_of(stream: int, file: int) -> Iterator[None]:
    """Let a file stand in for one of the three streams."""
    own = os.dup(stream)
    os.dup2(file, stream)
    try:
        yield
    finally:
        os.dup2(own, stream)
        os.close(own)


def text(*arguments: str, body: Any, **environment: str) -> str:
    """Run the command, which succeeds, and return what it prints."""
    ended = run(*arguments, body=body, **environment)
    assert (ended.returncode, ended.stderr) == (0, b"")
    return ended.stdout.decode()


def in_terminal(arguments: list[str], body: Any, width: int, path: Path, **environment: str) -> str:
    """Run the command in a terminal of `width` columns."""
    path.write_text(json.dumps(body), encoding="utf-8")
    process, terminal = pty.fork()
    if process == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
        os.execve(sys.executable, [*PYTHON, *arguments, str(path)], {**kept, "TERM": "xterm", **environment})
    shown = b""
    while chunk := read_terminal(terminal):
        shown += chunk
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    return shown.decode().replace("\r\n", "\n")


def read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError as error:
        if error.errno == errno.EIO:  # what Linux says when the other side has closed
            return b""
        raise
