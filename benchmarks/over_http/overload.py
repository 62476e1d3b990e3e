"""The service under more load than it can serve: an open loop, from a tenth to three times what it is able to do.

    python -m benchmarks.over_http.overload [--seconds 6]

The request is 128 queries and keys of 64 features with the laplacian score model in binary V2, output only: a few
milliseconds of computing for each 96 KiB sent.  What clients who wait are served, a few at a time, is its capacity.
Keeps its figures in `results/overload.json`, of which `plot` makes the picture.
"""

import argparse
import asyncio
import os
import statistics
import sys

from benchmarks import figures
from benchmarks.figures import Row
from benchmarks.over_http import machine
from benchmarks.over_http.exchanges import OUTPUT, Exchange, anything, inference_binary, tensors
from benchmarks.over_http.load import require_wrk
from benchmarks.over_http.open_loop import Outcome, capacity, offer
from benchmarks.over_http.rows import FEATURES
from benchmarks.over_http.servers import CLIENT_CORE, OURS, Servers, exit_on_signals

LENGTH = 128

LOADS = (10, 25, 50, 75, 90, 100, 125, 150, 200, 300)
"""In percent of the capacity."""

CLIENTS, CAPACITY_SECONDS = 8, 5

STATUSES = {"answered": 200, "refused": 429}

HELD = 0.8
"""So much of the best throughput must be left at three times the load."""


def main() -> int:
    """Offer every load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=6, help="how long each load lasts")
    options = parser.parse_args()
    require_wrk()
    exit_on_signals()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    exchange = anything(inference_binary(tensors(LENGTH, LENGTH, FEATURES, "float32"), OUTPUT, "laplacian"))
    with Servers() as servers:
        rows = measure(servers[OURS].port, exchange, options.seconds)
    description = machine.description()
    for row in rows:
        figures.keep("overload", f"{row['series']} {row['percent']}", row, description)
    print(verdict(rows))
    return 0


def verdict(rows: list[Row]) -> str:
    """Say how much of the best throughput is left under the largest load."""
    answered = {row["percent"]: row["per_second"] for row in rows if row["series"] == "answered"}
    left = answered[LOADS[-1]] / max(answered.values())
    return (
        f"throughput at {LOADS[-1]} %: {left:.2f} of its best; target {HELD:g}: {'met' if left >= HELD else 'missed'}"
    )


def measure(port: int, exchange: Exchange, seconds: float) -> list[Row]:
    """Return the rows of every load."""
    exchange.once(port)
    able = asyncio.run(capacity(port, exchange, CAPACITY_SECONDS, CLIENTS))
    print(f"capacity {able:.0f}/s with {CLIENTS} clients who wait", flush=True)
    rows: list[Row] = []
    for percent in LOADS:
        outcome = asyncio.run(offer(port, exchange, able * percent / 100, seconds))
        found = rows_of(percent, outcome)
        rows += found
        for row in found:
            print(line(row), flush=True)
    return rows


def rows_of(percent: int, outcome: Outcome) -> list[Row]:
    """Return one row for what was answered and one for what was refused, if anything was."""
    shared = {
        "percent": percent,
        "offered_per_second": outcome.offered / outcome.seconds,
        "failed": sum(number for status, number in outcome.statuses.items() if status not in STATUSES.values()),
        "generator": outcome.generator,
    }
    return [
        {
            "series": series,
            "per_second": outcome.in_time[status] / outcome.seconds,
            **quantiles(outcome.late[status]),
            **shared,
        }
        for series, status in STATUSES.items()
        if len(outcome.late[status]) > 1
    ]


def quantiles(late: list[float]) -> Row:
    """Return the median and the 99th percentile."""
    hundredths = statistics.quantiles(late, n=100, method="inclusive")
    return {"p50": hundredths[49], "p99": hundredths[98]}


def line(row: Row) -> str:
    """Return one line for a person."""
    return (
        f"{row['percent']:4} % offered {row['offered_per_second']:6.0f}/s  "
        f"{row['series']:8} {row['per_second']:6.0f}/s  "
        f"p50 {row['p50'] * 1e3:7.1f} ms  p99 {row['p99'] * 1e3:7.1f} ms  "
        f"failed {row['failed']}  generator {row['generator']:.0%} of a core"
    )


if __name__ == "__main__":
    sys.exit(main())
