"""A real server for tests: a process of its own, uvicorn on a real socket."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

STARTUP_SECONDS = 30


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


@contextmanager
def running_server(directory: Path, *arguments: str, **environment: str) -> Iterator[Server]:
    """Start ``attention-service serve`` on a free port, wait until it is ready, and end it afterwards.

    Keyword arguments are settings without their prefix, such as ``MAX_BODY_BYTES="1000"``.
    """
    port = free_port()
    log = directory / f"server-{port}.log"
    settings = {f"ATTENTION_{name}": value for name, value in environment.items()}
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port), *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=output, stderr=output)
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: Server) -> None:
    until = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < until:
        if server.process.poll() is not None:
            break
        try:
            if httpx.get(f"{server.url}/readyz", timeout=1).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError(f"the server did not become ready:\n{server.log.read_text()}")
