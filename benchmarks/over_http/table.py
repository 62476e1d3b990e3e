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

from benchmarks import figures
from benchmarks.backend_process import PYTORCH, SIDES, BackendProcess
from benchmarks.environments import NotInstalled
from benchmarks.figures import Row as Kept
from benchmarks.over_http.load import Load, LoadFailed, Turn, prepare_machine
from benchmarks.over_http.report import over_http
from benchmarks.over_http.rows import FEATURES, HEADS, LONG, ROWS, Row
from benchmarks.over_http.servers import OURS, SERVER_CORE, SERVER_THREADS, Servers
from benchmarks.tables import quartiles
from benchmarks.work import Work

MIN_ANSWERS, MIN_LARGE_ANSWERS = 30, 15
"""Minimum answers of a turn, also of the largest request; they decide how long it lasts."""

ONE_CONNECTION = 1
"""For the largest request: four of them at once are more than the service holds with its default limits."""

ROW_SECONDS = 30
"""About how long the turns of one row last, within the numbers of pairs."""

MIN_PAIRS, MAX_PAIRS = 2, 9

CALLS = 5
"""Calls in process that are a turn."""


def main() -> int:
    """Measure the rows, keep them, print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", help="part of a row's name; may be given several times")
    parser.add_argument("--seconds", type=float, default=ROW_SECONDS, help="about how long one row is measured")
    options = parser.parse_args()
    machine = prepare_machine()
    with Servers() as servers:
        for row in ROWS:
            if not options.only or any(part in row.name for part in options.only):
                kept = measure(servers, row, options.seconds)
                figures.keep("over_http", row.name, kept, machine)
                print(f"{row.name}: {kept.get('ratio') or kept['missing']}", flush=True)
    print(over_http(figures.load("over_http")[machine["processor"]]))
    return 0


def measure(servers: Servers, row: Row, seconds: float) -> Kept:
    """Measure one row; where its peer is missing, or does not bear the load, only say why."""
    try:
        turns = (beside_call if row.peer == PYTORCH else beside_server)(servers, row, seconds)
    except NotInstalled as reason:
        return {"missing": str(reason)}
    except LoadFailed as failure:
        if failure.name == OURS:
            raise
        return {"missing": str(failure).partition("\n")[0]}
    sides = list(zip(*turns, strict=True))
    ours, other = (statistics.median(turn.rate for turn in side) for side in sides)
    return {
        "ours": ours,
        "other": other,
        "ratio": quartiles(one.rate / other.rate for one, other in turns),
        "processor_seconds": [statistics.median(turn.processor_seconds for turn in side) for side in sides],
        "pairs": len(turns),
        "answers": [sum(turn.answers for turn in side) for side in sides],
    }


def n_pairs(seconds: float, pair_seconds: float) -> int:
    """Return how many pairs of turns a row has."""
    return min(MAX_PAIRS, max(MIN_PAIRS, round(seconds / pair_seconds)))


def beside_server(servers: Servers, row: Row, seconds: float) -> list[tuple[Turn, Turn]]:
    """Let the service and another server take turns."""
    ours, theirs = Load(servers[OURS], row.ours()), Load(servers[row.peer], row.theirs())
    our_seconds, their_seconds = (side.turn_seconds(MIN_ANSWERS) for side in (ours, theirs))
    pairs = n_pairs(seconds, our_seconds + their_seconds)
    return [(ours.turn(our_seconds), theirs.turn(their_seconds)) for _ in range(pairs)]


def beside_call(servers: Servers, row: Row, seconds: float) -> list[tuple[Turn, Turn]]:
    """Let the service take turns with PyTorch's call in process, on the same core."""
    work = Work((1, HEADS, LONG, FEATURES))
    with BackendProcess(SIDES[PYTORCH], SERVER_THREADS, SERVER_CORE) as pytorch:
        # In the first call everything is new.
        pytorch.seconds(work)
        ours = Load(servers[OURS], row.ours(), ONE_CONNECTION)
        turn_seconds = ours.turn_seconds(MIN_LARGE_ANSWERS)
        turns = []
        for _ in range(n_pairs(seconds, turn_seconds) + 1):
            whole, call_seconds = ours.turn(turn_seconds), pytorch.seconds(work, CALLS)
            turns.append((whole, Turn(CALLS, CALLS * call_seconds, call_seconds, call_seconds)))
    return turns


if __name__ == "__main__":
    sys.exit(main())
