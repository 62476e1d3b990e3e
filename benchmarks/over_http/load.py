"""Load from wrk: some connections for some seconds, and what they saw."""

import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from benchmarks.environments import HTTP
from benchmarks.figures import describe_machine
from benchmarks.over_http.exchanges import Exchange
from benchmarks.over_http.servers import CLIENT_CORE, SERVER_THREADS, Server, exit_on_signals

SCRIPT = """
local file = assert(io.open({body}, "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
{headers}
done = function(summary, latency, requests)
  local failed = summary.errors
  io.write(string.format(
    '\\nSUMMARY {{"answers": %d, "microseconds": %d, "median": %d, "failed": %d, "refused": %d}}\\n',
    summary.requests, summary.duration, latency:percentile(50),
    failed.connect + failed.read + failed.write + failed.timeout, failed.status))
end
"""

CONNECTIONS = 4

TIMEOUT_SECONDS = 600

SHORTEST_TURN, LONGEST_TURN = 2, 110
"""Seconds."""


class LoadFailed(Exception):
    """A server did not answer all that was asked of it."""

    def __init__(self, server: Server, seen: str) -> None:
        self.name = server.name
        log = server.log.read_text(errors="replace")[-2000:]
        super().__init__(f"{server.name} answered {seen}\n{log}")


@dataclass(frozen=True)
class Turn:
    """What one turn of load saw: answers, all of them with status 200, and the seconds they took.

    `processor_seconds` is how long the server computed for each of them, which the machine's other work hardly changes.
    """

    answers: int
    seconds: float
    median_latency: float
    processor_seconds: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


class Load:
    """A request that some connections send to a server over and over; its first answer is checked."""

    def __init__(self, server: Server, exchange: Exchange, connections: int = CONNECTIONS) -> None:
        exchange.once(server.port)
        self.server, self.exchange = server, exchange
        folder = Path(tempfile.mkdtemp(dir=server.log.parent))
        body, script = folder / "body", folder / "request.lua"
        body.write_bytes(exchange.body)
        headers = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in exchange.headers.items()]
        script.write_text(SCRIPT.format(body=json.dumps(str(body)), headers="\n".join(headers)))
        pinned = ["taskset", "--cpu-list", CLIENT_CORE]
        wrk = ["wrk", "--threads", "1", "--connections", str(connections), "--timeout", f"{TIMEOUT_SECONDS}s"]
        self._command = [*pinned, *wrk, "--script", str(script), f"http://127.0.0.1:{server.port}{exchange.path}"]

    def turn(self, seconds: float) -> Turn:
        """Put load on the server; raises LoadFailed unless every answer has status 200."""
        computed = self.server.cpu_seconds()
        command = [*self._command, "--duration", f"{ceil(seconds)}s"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        lines = [line for line in output.splitlines() if line.startswith("SUMMARY ")]
        if not lines:
            raise LoadFailed(self.server, output)
        summary = json.loads(lines[0].removeprefix("SUMMARY "))
        if summary["failed"] or summary["refused"] or not summary["answers"]:
            raise LoadFailed(self.server, lines[0])
        computed = self.server.cpu_seconds() - computed
        self.server.settle()
        answers = summary["answers"]
        return Turn(answers, summary["microseconds"] / 1e6, summary["median"] / 1e6, computed / answers)

    def turn_seconds(self, answers: int) -> int:
        """Return the seconds that a number of answers takes, within bounds; the server is warmed up on the way."""
        started = time.perf_counter()
        self.exchange.once(self.server.port)
        once = time.perf_counter() - started
        if answers * once < LONGEST_TURN / 10:
            once = 1 / self.turn(1 + once).rate
        return ceil(min(LONGEST_TURN, max(SHORTEST_TURN, answers * once)))


def prepare_machine() -> dict[str, str]:
    """Return what figures over HTTP depend on; end the program where wrk is missing, and at SIGTERM and SIGHUP."""
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs wrk: install the Debian package wrk (apt-get install wrk)")
    exit_on_signals()
    wrk = subprocess.run(["wrk", "--version"], check=False, capture_output=True, text=True).stdout.split()[1]
    return describe_machine(SERVER_THREADS, HTTP, wrk=wrk)
