"""Load from wrk: some connections for some seconds, and what they saw."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from benchmarks.over_http.exchanges import Exchange
from benchmarks.over_http.servers import CLIENT_CORE, Server

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

PATIENCE_SECONDS = 600


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


def require_wrk() -> None:
    """End the program where the load generator is missing, with what to do about it."""
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs wrk: install the Debian package wrk (apt-get install wrk)")


@contextmanager
def script_of(exchange: Exchange) -> Iterator[Path]:
    """Write what wrk is to send."""
    with tempfile.TemporaryDirectory(prefix="bench-http-") as folder:
        body, script = Path(folder, "body"), Path(folder, "request.lua")
        body.write_bytes(exchange.body)
        headers = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in exchange.headers.items()]
        script.write_text(SCRIPT.format(body=json.dumps(str(body)), headers="\n".join(headers)))
        yield script


def load(server: Server, path: str, script: Path, seconds: float, connections: int) -> Turn:
    """Put load on a server; raises LoadFailed unless every answer has status 200."""
    url = f"http://127.0.0.1:{server.port}{path}"
    pinned = ["taskset", "--cpu-list", CLIENT_CORE]
    wrk = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{ceil(seconds)}s"]
    command = [*pinned, *wrk, "--timeout", f"{PATIENCE_SECONDS}s", "--script", str(script), url]
    computed = server.cpu_seconds()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line for line in output.splitlines() if line.startswith("SUMMARY ")]
    if not lines:
        raise LoadFailed(server, output)
    summary = json.loads(lines[0].removeprefix("SUMMARY "))
    if summary["failed"] or summary["refused"] or not summary["answers"]:
        raise LoadFailed(server, lines[0])
    computed = server.cpu_seconds() - computed
    server.settle()
    answers = summary["answers"]
    return Turn(answers, summary["microseconds"] / 1e6, summary["median"] / 1e6, computed / answers)
