"""The core beside PyTorch, ONNX Runtime, JAX and bare NumPy: the rows of `rows.py`.

Each side has a process of its own with the same number of threads, and they take turns.  A turn is as many calls as
take a side a tenth of a second.  What counts is the median of the ratios of neighbouring turns.  Before each round a
loop that only computes is timed with one thread and with two; a round in which it scales by less than `--scaling` is
left out and counted.  Before all, some numbers of every side's result are held against ours.

Memory is the growth of the resident set of a process that has done nothing but a small call before.

    python -m benchmarks.core [--threads 2] [--pairs 15] [--scaling 1.8] [--only "causal"] [--again]

Prints a line for each peer and keeps each row in `results/core.json`.  Rows that were kept on this machine with the
same sources of the core are not measured again, so that an interrupted run goes on where it was.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np

from benchmarks import figures
from benchmarks.backend_process import OURS, PAUSE_SECONDS, SCALING, SIDES, BackendFailed, Backends
from benchmarks.environments import CORE, NotInstalled
from benchmarks.report import lines_of
from benchmarks.rows import ROWS, Peer, Row
from benchmarks.tables import quartiles
from benchmarks.work import Work

TURN_SECONDS = 0.1
"""A single call after a pause tells more of how fast a processor wakes up than of either side."""

PEER_SECONDS, MIN_PAIRS = 3.0, 3
"""About how long the turns of a peer without a target last in all, and how many there are at least."""

ROUNDS_PER_PAIR = 3
"""Rounds, those left out among them, after which a row ends with the pairs that it has."""

BUSY_SECONDS = 1.0
"""Pause after a round that is left out."""

MEMORY_TURNS = 3
"""Of a row that has a target for memory; the largest counts."""

TOLERANCE = 1e-3


class MachineBusy(Exception):
    """Two threads never ran beside each other."""


@dataclass
class SideTimes:
    """One side of a row: its work, how many calls a turn has, how many turns are wanted, and what they took."""

    side: str
    work: Work
    calls: int
    wanted: int
    turn_seconds: float
    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)


def main() -> int:
    """Measure the rows that the command line names; print one line for each peer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--scaling", type=float, default=1.8, help="least ratio of two threads' work to one's")
    parser.add_argument("--only", action="append", help="part of a row's name; may be given several times")
    parser.add_argument("--again", action="store_true", help="measure rows that are there already")
    options = parser.parse_args()
    machine = figures.describe_machine(options.threads, CORE)
    sources = figures.digest_of_core()
    with Backends(options.threads) as backends:
        for row in (row for row in ROWS if not options.only or any(part in row.name for part in options.only)):
            kept = figures.load_rows("core", machine).get(row.name, {})
            if options.again or kept.get("sources") != sources or kept["pairs"] < options.pairs:
                try:
                    kept = {"sources": sources, **measure(row, backends, options)}
                except MachineBusy as reason:
                    print(f"{row.name}: {reason}", flush=True)
                    continue
                figures.keep("core", row.name, kept, machine)
                print("\n".join("  ".join(line) for line in lines_of(row, kept)), flush=True)
    return 0


def measure(row: Row, backends: Backends, options: argparse.Namespace) -> figures.Row:
    """Let all sides of a row take turns; raises MachineBusy if there are less than two pairs."""
    expected, ours = prepare(backends, OURS, row.work, options.pairs)
    peers: dict[str, SideTimes] = {}
    missing: dict[str, str] = {}
    for peer in row.peers:
        try:
            peers[peer.name] = prepare_peer(backends, row, peer, expected, options.pairs)
        except (NotInstalled, BackendFailed) as reason:
            missing[peer.name] = str(reason)
    left_out = take_turns(backends, ours, list(peers.values()), options.scaling)
    beside: dict[str, figures.Row] = {name: {"missing": reason} for name, reason in missing.items()}
    for name, turns in peers.items():
        ratio, pairs = quartiles(turns.ratios), len(turns.ratios)
        beside[name] = {"seconds": statistics.median(turns.seconds), "ratio": ratio, "pairs": pairs}
    backends.forget()
    # A row with fewer pairs than were wanted is measured again by the next run.
    complete = all(len(turns.ratios) == turns.wanted for turns in peers.values())
    pairs = options.pairs if complete else len(ours.seconds)
    found = {"seconds": statistics.median(ours.seconds), "pairs": pairs, "left_out": left_out, "beside": beside}
    return found | (memory_of(row, options.threads, missing) if row.memory else {})


def prepare(backends: Backends, side: str, work: Work, pairs: int) -> tuple[list[float], SideTimes]:
    """Return a sample of a side's result, and how long its turns are to be."""
    # In this call everything is new; the next one tells how long a call takes.
    answer: list[float] = backends[side].ask("answer", work)
    seconds = backends[side].seconds(work)
    return answer, SideTimes(side, work, ceil(TURN_SECONDS / seconds), pairs, max(TURN_SECONDS, seconds))


def prepare_peer(backends: Backends, row: Row, peer: Peer, expected: list[float], pairs: int) -> SideTimes:
    """Hold a peer's numbers against ours where it does the same, and decide how many turns it has."""
    work = peer.work or row.work
    answer, turns = prepare(backends, peer.side, work, pairs)
    if replace(work, formula="") == replace(row.work, formula=""):
        np.testing.assert_allclose(answer, expected, TOLERANCE, TOLERANCE, err_msg=f"{row.name}: {peer.name}")
    if peer.target is None:
        turns.wanted = min(pairs, max(MIN_PAIRS, round(PEER_SECONDS / (turns.turn_seconds + PAUSE_SECONDS))))
    return turns


def take_turns(backends: Backends, ours: SideTimes, peers: list[SideTimes], scaling: float) -> int:
    """Fill the turns of all sides; return how many rounds were left out; raises MachineBusy for less than two pairs."""
    left_out = 0
    for _ in range(ROUNDS_PER_PAIR * ours.wanted):
        waiting = [turns for turns in peers if len(turns.ratios) < turns.wanted]
        if not waiting:
            break
        if backends[SCALING].ask("seconds") < scaling:
            left_out += 1
            time.sleep(BUSY_SECONDS)
            continue
        ours.seconds.append(backends[ours.side].seconds(ours.work, ours.calls))
        for turns in waiting:
            turns.seconds.append(backends[turns.side].seconds(turns.work, turns.calls))
            turns.ratios.append(ours.seconds[-1] / turns.seconds[-1])
    if peers and len(ours.seconds) < 2:
        raise MachineBusy(f"{left_out} rounds left out, in which two threads had no core each; measure again later")
    return left_out


def memory_of(row: Row, threads: int, missing: dict[str, str]) -> figures.Row:
    """Return the bytes by which each side grew at most, results included, and the bytes of the results."""
    sides = {OURS: (OURS, row.work)}
    sides |= {peer.name: (peer.side, peer.work or row.work) for peer in row.peers if peer.name not in missing}
    turns = 1 if row.memory_target is None else MEMORY_TURNS
    grown = {name: max(SIDES[side].growth(work, threads) for _ in range(turns)) for name, (side, work) in sides.items()}
    return {"bytes": grown}


if __name__ == "__main__":
    sys.exit(main())
