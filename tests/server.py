"""A real server for tests: a process of its own, uvicorn on a real socket."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STARTUP_SECONDS = 60

HEARS_SIGNALS = ("env", "--default-signal=HUP,INT")
"""In front of a command: it does not inherit that the tests ignore signals, as under nohup or behind a `&`."""

COVERAGE_SECONDS = 30
"""Within which a server ends by itself and writes which of its lines have run."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])

    def stop(self, timeout: float = 30) -> tuple[int, float]:
        """Send SIGTERM; return the exit code and the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        return code, time.monotonic() - started


def log_lines(server: Server, message: str, count: int = 1, seconds: float = STARTUP_SECONDS) -> list[dict[str, Any]]:
    """Wait until the log of a server holds this many records that contain a message, and return them.

    `seconds` is the longest wait.
    """
    until = time.monotonic() + seconds
    while True:
        lines = server.log.read_text().splitlines(keepends=True)
        found = [json.loads(line) for line in lines if message in line and line.endswith("\n")]
        if len(found) >= count:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"expected {count} records of {message!r} in the log:\n{''.join(lines)}")
        time.sleep(0.02)


@contextmanager
def running_server(
    directory: Path,
    *arguments: str,
    port: int | None = None,
    root: Path | None = None,
    python: Path | str = sys.executable,
    base: Mapping[str, str] | None = None,
    **environment: str,
) -> Iterator[Server]:
    """Start ``attention-service serve`` on a free port, wait until it is ready, and end it afterwards.

    Keyword arguments are settings without their prefix, such as ``MAX_BODY_BYTES="1000"``.  A port is where the server
    is expected because of them, and no flag names it.  `root` is where the code to run is, this checkout without it;
    `python` runs it, and `base` are the variables that the settings are added to, those of this process without it.
    """
    flags = [] if port else ["--port", str(free_port())]
    port = port or int(flags[-1])
    log = directory / f"server-{port}.log"
    settings = {f"ATTENTION_{name}": value for name, value in environment.items()}
    command = [*HEARS_SIGNALS, str(python), "-m", "service.cli", "serve", *flags, *arguments]
    with log.open("wb") as output:
        variables = {**(os.environ if base is None else base), **settings}
        process = subprocess.Popen(command, env=variables, stdout=output, stderr=output, cwd=root)
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a server that still runs; while lines are counted, let it end by itself first, so that it writes them."""
    if process.poll() is None and "COVERAGE_PROCESS_CONFIG" in os.environ:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(COVERAGE_SECONDS)
    if process.poll() is None:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port on which nothing listens, and that no other process is given as long as this one lives.

    It stays bound: only a server that asks for this very port, with SO_REUSEADDR as all servers do, can listen on it.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    HELD_PORTS.append(held)
    return int(held.getsockname()[1])


HELD_PORTS: list[socket.socket] = []


def _wait_until_ready(server: Server) -> None:
    until = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < until:
        if server.process.poll() is not None:
            break
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=1)) as connection:
            try:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
        time.sleep(0.05)
    raise RuntimeError(f"the server did not become ready:\n{server.log.read_text()}")
