"""The service under more load than it can serve: an open loop, from a tenth to three times what it is able to do.

    python -m benchmarks.over_http.overload [--seconds 6]

The request is 128 queries and keys of 64 features with the laplacian score model in binary V2, output only: a few
milliseconds of computing for each 96 KiB sent.  What clients who wait are served, a few at a time, is its capacity.

Requests leave when they are due, however late the answers to earlier ones are.  A client that waits for its answer
before it asks again slows down with the server, and never sees what overload does to those who arrive meanwhile.  A
latency counts from when the request was due: waiting for a connection, or for this process, is part of it.
Keeps its figures in `results/overload.json`, of which `plot` makes the picture.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from dataclasses import dataclass

from benchmarks import figures
from benchmarks.figures import Row
from benchmarks.over_http.exchanges import OUTPUT, Exchange, anything, inference_binary, tensors
from benchmarks.over_http.load import Load, prepare_machine
from benchmarks.over_http.rows import FEATURES
from benchmarks.over_http.servers import CLIENT_CORE, OURS, Servers

LENGTH = 128

LOADS = (10, 25, 50, 75, 90, 100, 125, 150, 200, 300)
"""In percent of the capacity."""

CLIENTS, CAPACITY_SECONDS = 8, 5

STATUSES = {"answered": 200, "refused": 429}

HELD = 0.8
"""Minimum fraction of the best throughput that must be left at three times the load."""

MAX_CONNECTIONS = 512
"""Requests that are due while all connections are in use wait for one, which counts as latency."""


def main() -> int:
    """Offer every load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=6, help="how long each load lasts")
    options = parser.parse_args()
    machine = prepare_machine()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    exchange = anything(inference_binary(tensors(LENGTH, LENGTH, FEATURES, "float32"), OUTPUT, "laplacian"))
    rows: list[Row] = []
    with Servers() as servers:
        capacity = Load(servers[OURS], exchange, CLIENTS).turn(CAPACITY_SECONDS).rate
        print(f"capacity {capacity:.0f}/s with {CLIENTS} clients who wait", flush=True)
        for percent in LOADS:
            rows += asyncio.run(offer(servers[OURS].port, exchange, capacity * percent / 100, options.seconds, percent))
            print(rows[-1], flush=True)
    for row in rows:
        figures.keep("overload", f"{row['series']} {row['percent']}", row, machine)
    print(verdict(rows))
    return 0


def verdict(rows: list[Row]) -> str:
    """Say how much of the best throughput is left under the largest load."""
    answered = {row["percent"]: row["per_second"] for row in rows if row["series"] == "answered"}
    left = answered[LOADS[-1]] / max(answered.values())
    return (
        f"throughput at {LOADS[-1]} %: {left:.2f} of its best; target {HELD:g}: {'met' if left >= HELD else 'missed'}"
    )


class Connections:
    """Connections to one server, each for one request at a time; the last used is used first."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._permits = asyncio.Semaphore(MAX_CONNECTIONS)

    async def ask(self, request: bytes) -> int:
        """Send a request, read its answer to the end and return its status; 0 for a connection that breaks."""
        async with self._permits:
            try:
                idle = self._idle
                reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(request)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                (length,) = (line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
            except (OSError, asyncio.IncompleteReadError):
                return 0
            if b"\r\nconnection: close\r\n" in head:
                writer.close()
            else:
                idle.append((reader, writer))
            return int(head[9:12])

    def close(self) -> None:
        """Close idle connections."""
        for _, writer in self._idle:
            writer.close()


@dataclass(frozen=True)
class Outcome:
    """What became of a request: its status, seconds from when it was due, and whether others were still due then."""

    status: int
    late: float
    in_time: bool


async def offer(port: int, exchange: Exchange, rate: float, seconds: float, percent: int) -> list[Row]:
    """Send `rate` requests a second, evenly spaced; return a row for the answers and, if any, one for the refusals."""
    connections, body = Connections(port), exchange.body
    headers = {"Host": "127.0.0.1", **exchange.headers, "Content-Length": str(len(body))}
    head = "\r\n".join([f"POST {exchange.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())])
    outcomes: list[Outcome] = []

    async def one(due: float) -> None:
        status = await connections.ask(head.encode() + b"\r\n\r\n" + body)
        ended = time.perf_counter()
        outcomes.append(Outcome(status, ended - due, ended - began <= seconds))

    computed, began = time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(round(rate * seconds)):
            due = began + number / rate
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            group.create_task(one(due))
    generator = (time.process_time() - computed) / (time.perf_counter() - began)
    connections.close()
    shared = {
        "percent": percent,
        "offered_per_second": len(outcomes) / seconds,
        "failed": sum(outcome.status not in STATUSES.values() for outcome in outcomes),
        "generator": generator,
    }
    by_series = {name: [one for one in outcomes if one.status == status] for name, status in STATUSES.items()}
    return [row_of(name, found, seconds) | shared for name, found in by_series.items() if len(found) > 1]


def row_of(series: str, outcomes: list[Outcome], seconds: float) -> Row:
    """Return throughput, and median and 99th percentile of the latency."""
    hundredths = statistics.quantiles((outcome.late for outcome in outcomes), n=100, method="inclusive")
    per_second = sum(outcome.in_time for outcome in outcomes) / seconds
    return {"series": series, "per_second": per_second, "p50": hundredths[49], "p99": hundredths[98]}


if __name__ == "__main__":
    sys.exit(main())
