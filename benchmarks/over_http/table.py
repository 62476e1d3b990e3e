"""The table of requests over HTTP: the service beside its peers, from one run.

    make bench-http
    python -m benchmarks.over_http.table [--only "256 × 64"] [--only KServe]

Each server runs on one core, `wrk` with four connections on another.  The service and a peer take turns (service, peer,
service, peer, …); what counts is the median of the ratios of neighbouring turns.  Everything is as shipped: logs,
metrics, limits and request ids are on.  Each answer is held against the maths once before it is timed; later ones must
have status 200.  Keeps its figures in `results/over_http.json`.
"""

import argparse
import statistics
import sys
import time
from math import ceil
from pathlib import Path

from benchmarks import figures
from benchmarks.figures import Row as Kept
from benchmarks.over_http import machine
from benchmarks.over_http.exchanges import Exchange, echo
from benchmarks.over_http.load import LoadFailed, Turn, load, require_wrk, script_of
from benchmarks.over_http.report import over_http
from benchmarks.over_http.rows import BESIDE_ECHO, BESIDE_ECHO_TARGET, FEATURES, HEADS, LONG, ROWS, Row, heads_binary
from benchmarks.over_http.servers import ECHO, OURS, SERVER_CORE, NotInstalled, Server, Servers, exit_on_signals
from benchmarks.player import Player

CONNECTIONS = 4

ONE_CONNECTION = 1
"""For the largest request: four of them at once are more than the service holds with its default limits."""

FEWEST_ANSWERS = 30
"""A turn lasts as long as it takes to give so many."""

SHORTEST_TURN, LONGEST_TURN = 2, 110
"""Seconds."""

ROW_SECONDS = 30
"""About how long the turns of one row last, within these bounds."""

FEWEST_PAIRS, MOST_PAIRS = 2, 9

FEWEST_LARGE_ANSWERS = 15
"""A turn of the largest request lasts as long as it takes to give so many."""

CORE_CALLS = 5
"""Calls of the core in a turn of its own."""


def main() -> int:
    """Measure the rows, keep them, print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", help="part of a row's name; may be given several times")
    parser.add_argument("--seconds", type=float, default=ROW_SECONDS, help="about how long one row is measured")
    options = parser.parse_args()
    require_wrk()
    exit_on_signals()
    description = machine.description()
    with Servers() as servers:
        for row in ROWS:
            if wanted(row.name, options.only):
                keep(row.name, described(row) | measured(servers, row, options.seconds), description)
        if wanted(BESIDE_ECHO, options.only):
            keep(BESIDE_ECHO, beside_echo(servers, options.seconds), description)
    print(over_http(figures.load("over_http")))
    return 0


def wanted(name: str, only: list[str] | None) -> bool:
    """Whether a row is to be measured."""
    return not only or any(part in name for part in only)


def keep(name: str, row: Kept, description: dict[str, str]) -> None:
    """Keep and print a row."""
    figures.keep("over_http", name, row, description)
    ratio = "not measured" if "missing" in row else "{:.3g} to {:.3g} to {:.3g}".format(*row["ratio"])
    print(f"{name}: {ratio}", flush=True)


def described(row: Row) -> Kept:
    """Say what a row is about."""
    return {"request": row.request, "peer": row.peer, "target": row.target}


def measured(servers: Servers, row: Row, seconds: float) -> Kept:
    """Measure one row; where its peer is missing, or does not bear the load, only say why."""
    try:
        peer = servers[row.peer]
        ours, theirs = pairs(servers[OURS], row.ours(), peer, row.theirs(), seconds)
    except NotInstalled as reason:
        return {"missing": str(reason)}
    except LoadFailed as failure:
        if failure.name == OURS:
            raise
        return {"missing": str(failure).partition("\n")[0]}
    return {
        "ours": statistics.median(turn.rate for turn in ours),
        "other": statistics.median(turn.rate for turn in theirs),
        "ratio": quartiles([one.rate / other.rate for one, other in zip(ours, theirs, strict=True)]),
        "processor_seconds": [statistics.median(turn.processor_seconds for turn in turns) for turns in (ours, theirs)],
        "pairs": len(ours),
        "answers": [sum(turn.answers for turn in turns) for turns in (ours, theirs)],
    }


def pairs(
    ours: Server, our_exchange: Exchange, peer: Server, their_exchange: Exchange, seconds: float
) -> tuple[list[Turn], list[Turn]]:
    """Let two servers take turns; each is asked once before, and its answer checked."""
    sides = ((ours, our_exchange), (peer, their_exchange))
    with script_of(our_exchange) as our_script, script_of(their_exchange) as their_script:
        scripts = (our_script, their_script)
        lengths = [
            turn_seconds(server, exchange, script) for (server, exchange), script in zip(sides, scripts, strict=True)
        ]
        count = min(MOST_PAIRS, max(FEWEST_PAIRS, round(seconds / sum(lengths))))
        turns: tuple[list[Turn], list[Turn]] = ([], [])
        for _ in range(count):
            for (server, exchange), script, length, side in zip(sides, scripts, lengths, turns, strict=True):
                side.append(load(server, exchange.path, script, length, CONNECTIONS))
    return turns


def turn_seconds(server: Server, exchange: Exchange, script: Path, connections: int = CONNECTIONS) -> int:
    """Return how long a turn has to be; on the way the first answer is checked and the server warmed up."""
    exchange.once(server.port)
    started = time.perf_counter()
    exchange.once(server.port)
    seconds = FEWEST_ANSWERS * (time.perf_counter() - started)
    if seconds < LONGEST_TURN / 10:
        turn = load(server, exchange.path, script, 1 + seconds / FEWEST_ANSWERS, connections)
        seconds = FEWEST_ANSWERS / turn.rate
    return ceil(min(LONGEST_TURN, max(SHORTEST_TURN, seconds)))


def beside_echo(servers: Servers, seconds: float) -> Kept:
    """Measure how much longer than an echo a large request takes, beside the core's own call on the same core."""
    exchange = heads_binary()
    try:
        peer = servers[ECHO]
    except NotInstalled as reason:
        return {"missing": str(reason)}
    ours = servers[OURS]
    returned = echo(exchange, len(exchange.once(ours.port).body))
    work = f"full 1,{HEADS},{LONG},{FEATURES}"
    rounds: list[tuple[float, float, float]] = []
    with (
        script_of(exchange) as script,
        script_of(returned) as their_script,
        Player("ours.py", 1, core=SERVER_CORE) as core,
    ):
        length = turn_seconds(ours, exchange, script, ONE_CONNECTION) / FEWEST_ANSWERS * FEWEST_LARGE_ANSWERS
        turn_seconds(peer, returned, their_script, ONE_CONNECTION)
        core.seconds(work)
        for _ in range(min(MOST_PAIRS, max(FEWEST_PAIRS + 1, round(seconds / length)))):
            whole = load(ours, exchange.path, script, length, ONE_CONNECTION)
            sent = load(peer, returned.path, their_script, SHORTEST_TURN, ONE_CONNECTION)
            rounds.append((1 / whole.rate, 1 / sent.rate, core.seconds(work, CORE_CALLS)))
    whole_seconds, echo_seconds, core_seconds = map(statistics.median, zip(*rounds, strict=True))
    return {
        "request": BESIDE_ECHO,
        "peer": "the core's call",
        "target": BESIDE_ECHO_TARGET,
        "whole_seconds": whole_seconds,
        "echo_seconds": echo_seconds,
        "core_seconds": core_seconds,
        "ratio": quartiles([(whole - sent) / alone for whole, sent, alone in rounds]),
        "pairs": len(rounds),
    }


def quartiles(ratios: list[float]) -> list[float]:
    """Lower quartile, median, upper quartile."""
    return statistics.quantiles(ratios, n=4, method="inclusive")


if __name__ == "__main__":
    sys.exit(main())
