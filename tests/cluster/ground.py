"""One Ray cluster for a whole test run, and servers that use it.

The processes of pytest-xdist share it: the first that needs it starts it, and it ends when none is connected any more.
"""

import fcntl
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from service.cluster.local import HEALTH_CHECKS, START
from tests.server import Server, log_lines, running_server

PROJECT = Path(__file__).parents[2]
ENVIRONMENT = PROJECT / ".venv-ray"
PYTHON = ENVIRONMENT / "bin" / "python"
INSTALLED = ENVIRONMENT / "installed"
TARGET = ".venv-ray/installed"
START_SECONDS = 300
"""Longest that the nodes may take to start, which is 12 s on a machine with nothing else to do."""


class RayCluster:
    """A connection to the program `nodes`."""

    def __init__(self, directory: Path) -> None:
        """Start the program, unless another process of this run has, and connect to it."""
        self._lock = directory / "ray-lock"
        self.log = directory / "ray.log"
        path = directory / "ray"
        with self._locked("ray-start", fcntl.LOCK_EX):
            token = directory / "ray-token"
            if not token.exists():
                token.write_text(secrets.token_hex(32))
            self.environment = ray_environment(token.read_text())
            self._connection = self._connect(path) or self._start(path)
        self._lines = self._connection.makefile("rwb")
        self.address: str = self.ask("address")

    def ask(self, name: str, *arguments: Any) -> Any:
        """Return the answer to a command of `nodes.Nodes`."""
        self._lines.write(json.dumps([name, *arguments]).encode() + b"\n")
        self._lines.flush()
        line = self._lines.readline()
        if not line:
            raise RuntimeError(f"{name} failed:\n{self.log.read_text()}")
        return json.loads(line)

    def close(self) -> None:
        """Disconnect."""
        self._lines.close()
        self._connection.close()

    @contextmanager
    def server(self, directory: Path, workers: int = 1, **settings: str) -> Iterator[Server]:
        """Start a server that computes on the cluster, each of whose workers is connected to it, and end it afterwards.

        :param directory: for its log.
        :param workers: processes of the server.
        :param settings: further ones, without their prefix.
        """
        settings |= {"RAY_ADDRESS": self.address, "WORKERS": str(workers)}
        with running_server(directory, python=PYTHON, base=self.environment, **settings) as server:
            log_lines(server, "connected to a Ray cluster", workers)
            yield server

    @asynccontextmanager
    async def client(self, server: Server) -> AsyncIterator[httpx.AsyncClient]:
        """Return a client of a server, while no test of another process changes the nodes."""
        with self.shared():
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
                yield client

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Keep tests of other processes from changing the nodes."""
        with self._locked("ray-nodes", fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Change nodes while no test of another process uses them, and leave three."""
        with self._locked("ray-nodes", fcntl.LOCK_EX):
            try:
                yield
            finally:
                for _ in range(3 - len(self.ask("alive"))):
                    self.ask("add")

    @contextmanager
    def _locked(self, name: str, how: int) -> Iterator[None]:
        with self._lock.with_name(name).open("w") as file:
            fcntl.flock(file, how)
            yield

    def _connect(self, path: Path) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except OSError:
            connection.close()
            return None
        return connection

    def _start(self, path: Path) -> socket.socket:
        with self.log.open("wb") as output:
            process = subprocess.Popen(
                [PYTHON, PROJECT / "tests" / "cluster" / "nodes.py", path],
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and process.poll() is None:
            connection = self._connect(path)
            if connection is not None:
                # No test waits for it: it ends by itself.
                process.returncode = 0
                return connection
            time.sleep(0.1)
        # It would go on without a test, and its nodes end with it.
        process.kill()
        process.wait()
        raise RuntimeError(f"the Ray cluster did not start:\n{self.log.read_text()}")


def ray_environment(token: str) -> dict[str, str]:
    """Return the environment of Ray's processes, and of drivers, that share a token.

    What the environment of the tests has goes first, such as longer times for a machine with much else to do.
    """
    settings = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_enable_task_events_to_dashboard_head": "0",
    }
    return {**HEALTH_CHECKS, **START, **os.environ, **settings}
