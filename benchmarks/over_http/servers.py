"""The service and what stands beside it: each a process on the server's core, with an environment of its own.

Every server computes with one thread, as in a container that has one core.  Whatever happens to this process, none of
them outlives it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.environments import ROOT, require_python
from benchmarks.pool import Pool

PEERS = Path(__file__).parent / "peers"

SERVER_CORE, CLIENT_CORE = "1", "0"

SERVER_THREADS = 1

ONE_THREAD = dict.fromkeys(("ATTENTION_COMPUTE_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")

START_SECONDS, STOP_SECONDS, SETTLE_SECONDS = 120, 15, 120

KEEP_ALIVE_SECONDS = 600
"""A server that computes for a minute in other threads may take the connection for idle and close it."""

OURS, BARE, LISTS = "attention-service", "bare FastAPI", "FastAPI with lists"
OURS_WITH_MEMORIES = "attention-service, two threads on all cores"
MODELLED = "FastAPI with lists and a response model"
MLSERVER, KSERVE = "MLServer", "KServe"


@dataclass(frozen=True)
class Kind:
    """How a server is started: in which environment, and with which arguments, given a port and a folder of its own."""

    environment: str | None
    arguments: Callable[[int, Path], list[str]]
    variables: Mapping[str, str] = field(default_factory=lambda: ONE_THREAD)
    is_pinned: bool = True


@dataclass(frozen=True)
class Server:
    """A running server."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def cpu_seconds(self) -> float:
        """Return the processor time that it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def settle(self) -> None:
        """Wait until it no longer computes for connections that have been closed."""
        until = time.monotonic() + SETTLE_SECONDS
        before = -1.0
        while time.monotonic() < until and (now := self.cpu_seconds()) - before > 0.02:
            before = now
            time.sleep(0.25)


class Servers(Pool[Server]):
    """The servers by name, each with a folder of its own that does not outlive it."""

    def __init__(self) -> None:
        super().__init__(running)


@contextmanager
def running(name: str) -> Iterator[Server]:
    """Run one of the servers until the end of the block."""
    with running_kind(name, KINDS[name]) as server:
        yield server


@contextmanager
def running_kind(name: str, kind: Kind) -> Iterator[Server]:
    """Run a server of any kind until the end of the block."""
    port = free_port()
    # Even if this process is killed, the server goes with it.
    pinned = ["taskset", "--cpu-list", SERVER_CORE] if kind.is_pinned else []
    bound = ["setpriv", "--pdeathsig", "KILL", *pinned, require_python(kind.environment)]
    with tempfile.TemporaryDirectory(prefix="bench-http-") as folder:
        command = [*bound, *kind.arguments(port, Path(folder))]
        log = Path(folder, "log")
        with log.open("wb") as output:
            memories = {"ATTENTION_MEMORIES_DIRECTORY": str(Path(folder, "memories"))}
            variables = {**os.environ, **memories, **kind.variables}
            process = subprocess.Popen(
                command, stdout=output, stderr=output, env=variables, cwd=ROOT, start_new_session=True
            )
        try:
            server = Server(name, port, process, log)
            wait_for(server)
            yield server
        finally:
            stop(process)


def wait_for(server: Server) -> None:
    """Wait until the server listens."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{server.name} does not start:\n{server.log.read_text(errors='replace')[-2000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and whatever it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def exit_on_signals() -> None:
    """Let SIGTERM and SIGHUP end this process as any exception does, so that servers are stopped."""

    def leave(number: int, _: object) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(port: int, _: Path) -> list[str]:
    return ["-m", "service.cli", "serve", "--port", str(port)]


def _uvicorn(application: str) -> Callable[[int, Path], list[str]]:
    """Run uvicorn without its log of requests, and with time enough between two requests for the slowest peer."""
    options = ["--no-access-log", "--timeout-keep-alive", str(KEEP_ALIVE_SECONDS)]
    return lambda port, _: ["-m", "uvicorn", "--app-dir", str(PEERS), application, "--port", str(port), *options]


def _mlserver(port: int, folder: Path) -> list[str]:
    """Write the settings of MLServer: one process, nothing for debugging, as it is told to run in production."""
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    settings = {**ports, "host": "127.0.0.1", "parallel_workers": 0, "debug": False, "metrics_dir": str(folder)}
    model = {"name": "attention", "implementation": "mlserver_model.Attention"}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    start = f"import sys; sys.path.insert(0, {str(PEERS)!r}); from mlserver.cli import main; main()"
    return ["-c", start, "start", str(folder)]


KINDS = {
    OURS: Kind(None, _serve),
    OURS_WITH_MEMORIES: Kind(None, _serve, {"ATTENTION_COMPUTE_THREADS": "2"}, is_pinned=False),
    BARE: Kind("fastapi", _uvicorn("bare:app")),
    LISTS: Kind("fastapi", _uvicorn("lists:app")),
    MODELLED: Kind("fastapi", _uvicorn("lists:app")),
    MLSERVER: Kind("mlserver", _mlserver),
    KSERVE: Kind("kserve", lambda port, _: [str(PEERS / "kserve_server.py"), str(port)]),
}
