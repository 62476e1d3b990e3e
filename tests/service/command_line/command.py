"""Running the command line as a person would: in a process of its own, with or without a terminal."""

import errno
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

PYTHON = [sys.executable, "-m", "service.cli"]
HONOR = {
    "query": [[2, 1, 1, 0], [0, 0.5, 1, 2]],
    "key": [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]],
    "value": [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]],
    "labels": {"query": ["团战", "drake"], "key": ["射手", "jungler 打野", "中路", "上路"]},
}


def run(*arguments: str, body: Any = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command; a body goes to the standard input."""
    sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    settings = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ATTENTION_", "NO_COLOR", "OPENBLAS_"))
    }
    ended = subprocess.run(
        [*PYTHON, *arguments], input=sent or b"", capture_output=True, timeout=60, check=False,
        env={**settings, **environment},
    )  # fmt: skip
    assert b"Traceback" not in ended.stderr
    return ended


def text(*arguments: str, body: Any, **environment: str) -> str:
    """Run the command, which succeeds, and return what it prints."""
    ended = run(*arguments, body=body, **environment)
    assert (ended.returncode, ended.stderr) == (0, b"")
    return ended.stdout.decode()


def in_terminal(arguments: list[str], body: Any, width: int, path: Path, **environment: str) -> str:
    """Run the command in a terminal of so many columns."""
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
