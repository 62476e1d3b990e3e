"""Requests per second of the small example, beside a bare FastAPI route in the same run.

Each server runs alone on one core, `wrk` with four connections on another; they take turns, and what counts is the
median of the ratios of neighbouring rounds.  Everything is as shipped: logs, limits and request ids are on.

    make bench-http
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PORTS = {"attention-service": 8811, "bare FastAPI": 8812}
COMMANDS = {
    "attention-service": ["-m", "service.cli", "serve", "--port", "8811"],
    "bare FastAPI": ["-m", "uvicorn", "benchmarks.bare:app", "--port", "8812", "--no-access-log"],
}
REQUEST = json.loads((Path(__file__).parent.parent / "service/examples/honor-of-kings.json").read_text())["request"]
ROUNDS, SECONDS, CONNECTIONS = 9, 4, 4
SERVER_CORE, CLIENT_CORE = "1", "0"

WRK_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[{body}]==]
"""


@contextmanager
def serving(name: str, log: Path) -> Iterator[None]:
    """Run one of the servers on the server core."""
    command = ["taskset", "-c", SERVER_CORE, sys.executable, *COMMANDS[name]]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ)
    try:
        wait_for(PORTS[name])
        yield
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int) -> None:
    """Wait until something answers."""
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing answers on port {port}")


def requests_per_second(port: int, script: Path, seconds: int) -> float:
    """Measure one round; anything but success is an error."""
    url = f"http://127.0.0.1:{port}/v1/attention"
    command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if found is None:
        raise RuntimeError(output)
    return float(found[1])


def main() -> int:
    """Print the figures."""
    if shutil.which("wrk") is None:
        print("this benchmark needs the Debian package wrk", file=sys.stderr)
        return 1
    rates: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "request.lua")
        script.write_text(WRK_SCRIPT.format(body=json.dumps(REQUEST, ensure_ascii=False)))
        with serving("attention-service", Path(folder, "a.log")), serving("bare FastAPI", Path(folder, "b.log")):
            for port in PORTS.values():
                requests_per_second(port, script, 2)
            for _ in range(ROUNDS):
                for name, port in PORTS.items():
                    rates[name].append(requests_per_second(port, script, SECONDS))
    for name, measured in rates.items():
        low, middle, high = min(measured), statistics.median(measured), max(measured)
        print(f"{name:20} {middle:8.0f} requests/s ({low:.0f} to {high:.0f}, {ROUNDS} rounds)")
    ratios = [ours / bare for ours, bare in zip(*rates.values(), strict=True)]
    print(f"{'ratio':20} {statistics.median(ratios):8.3f} (median of pairs, {min(ratios):.3f} to {max(ratios):.3f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
