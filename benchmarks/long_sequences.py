"""The core beside PyTorch on long sequences, and beside five lines of NumPy on short ones: float32, outputs only.

Each side has a process of its own with the same number of threads, and they take turns with a pause in between, because
idle OpenMP threads spin for a while and steal the other's core.  What counts is the median of the ratios of
neighbouring turns.  PyTorch runs in its best form: `inference_mode`, contiguous inputs, its flash kernel, the number of
threads read back.  Ours is the public `attend` with its checks on.  A causal call takes turns with the full one too;
`backward` is forward and back, the public `differentiate` beside autograd.

Memory is what the operating system says that a process grew by while it did the work, outputs left out; each
measurement has a process of its own that has done nothing but a small call before.

    python -m benchmarks.long_sequences --peer PYTHON-WITH-TORCH [--threads 2] [--pairs 15] [--only "full 1,8,1024,64"]

Prints a line for each row and keeps it in `results/long_sequences.json`.
"""

import argparse
import statistics
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from benchmarks.figures import Row, keep, machine
from benchmarks.player import Player, growth_alone

WARM_UP = "full 1,1,256,64"
MEMORY_TURNS = 3

TURN_SECONDS = 0.1
"""A single call after a pause tells more of how fast a processor wakes up than of either side."""


@dataclass(frozen=True)
class Work:
    """A row: what is done, beside whom, and what is aimed at."""

    name: str
    target: float
    """Time over the peer's; MiB where memory is measured."""
    peer: str = "pytorch.py"
    times: int | None = None
    """How many calls are a turn; None for as many as take the peer TURN_SECONDS."""

    @property
    def full(self) -> str | None:
        """The same without its causal mask."""
        kind, sizes = self.name.split()
        return f"full {sizes}" if kind == "causal" else None


SHAPES = {"1,8,1024,64": 1.25, "1,8,4096,64": 1.15, "1,1,16384,64": 1.15, "1,8,2048,128": 1.25}
CAUSAL_TARGET, CAUSAL_OVER_FULL = 1.25, 0.6
BACKWARD_TARGET = 1.5
TIMES = (
    *(Work(f"full {shape}", target) for shape, target in SHAPES.items()),
    *(Work(f"causal {shape}", CAUSAL_TARGET) for shape in SHAPES),
    *(Work(f"backward {shape}", BACKWARD_TARGET) for shape in SHAPES),
    Work("additive 1,1,1024,64", 0.2),
    Work("full 32,32", 2.0, peer="plain.py", times=2000),
)
MEMORY = Work("memory 1,1,32768,64", 64.0)


def main() -> int:
    """Measure what is asked for; one line each."""
    options = parse()
    works = chosen((*TIMES, MEMORY), options.only)
    description = machine(options.threads, options.peer)
    for work in works:
        row = memory_row(work, options) if work is MEMORY else time_row(work, options)
        keep("long_sequences", work.name, row, description)
        print(line(work.name, row), flush=True)
    return 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer", required=True, help="a Python that has PyTorch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--only", action="append", help="the name of a row; may be given several times")
    return parser.parse_args()


def chosen(works: Iterable[Work], only: list[str] | None) -> list[Work]:
    """Return the works that are named, all if none is."""
    by_name = {work.name: work for work in works}
    unknown = set(only or ()) - set(by_name)
    if unknown:
        raise SystemExit(f"no such row: {', '.join(sorted(unknown))}; there are: {', '.join(by_name)}")
    return [by_name[name] for name in only or by_name]


def time_row(work: Work, options: argparse.Namespace) -> Row:
    """Let both sides take turns."""
    python = options.peer if work.peer == "pytorch.py" else sys.executable
    turns: list[tuple[float, float, float]] = []
    with Player("ours.py", options.threads) as ours, Player(work.peer, options.threads, python) as peer:
        # In the first calls everything is new.
        ours.seconds(work.name)
        peer.seconds(work.name)
        times = work.times or ceil(TURN_SECONDS / peer.seconds(work.name))
        for _ in range(options.pairs):
            full = 0.0 if work.full is None else ours.seconds(work.full, times)
            turns.append((ours.seconds(work.name, times), peer.seconds(work.name, times), full))
    mine, other, full_seconds = zip(*turns, strict=True)
    row: Row = {
        "peer": "PyTorch" if work.peer == "pytorch.py" else "NumPy, five lines",
        "ours": statistics.median(mine),
        "other": statistics.median(other),
        "ratio": quartiles(mine, other),
        "target": work.target,
        "pairs": options.pairs,
        "calls": times,
    }
    if work.full is not None:
        row["over_full"] = quartiles(mine, full_seconds)
        row["over_full_target"] = CAUSAL_OVER_FULL
    return row


def quartiles(mine: Iterable[float], other: Iterable[float]) -> list[float]:
    """Return the quartiles of the ratios of neighbouring turns."""
    return statistics.quantiles((one / two for one, two in zip(mine, other, strict=True)), n=4, method="inclusive")


def memory_row(work: Work, options: argparse.Namespace) -> Row:
    """Measure both sides, outputs left out."""
    name = work.name.replace("memory", "full")
    sides = {"ours.py": sys.executable, "pytorch.py": options.peer}
    beside = {
        script: [
            grown - held
            for grown, held in (
                growth_alone(script, options.threads, name, WARM_UP, python) for _ in range(MEMORY_TURNS)
            )
        ]
        for script, python in sides.items()
    }
    mine, other = (max(measured) / 2**20 for measured in beside.values())
    return {"peer": "PyTorch", "ours": mine, "other": other, "unit": "MiB", "target": work.target}


def line(name: str, row: Row) -> str:
    """Return one line for a person."""
    if row.get("unit") == "MiB":
        verdict = "met" if row["ours"] <= row["target"] else "missed"
        return (
            f"{name:22} ours {row['ours']:9.1f} MiB  {row['peer']} {row['other']:9.1f} MiB  "
            f"target {row['target']:g} MiB: {verdict}"
        )
    low, middle, high = row["ratio"]
    text = (
        f"{name:22} ours {row['ours'] * 1e3:9.3f} ms   {row['peer']} {row['other'] * 1e3:9.3f} ms   ratio {middle:.2f} "
        f"({low:.2f} to {high:.2f})  target {row['target']:g}: {'met' if middle <= row['target'] else 'missed'}"
    )
    if "over_full" not in row:
        return text
    low, middle, high = row["over_full"]
    verdict = "met" if middle <= row["over_full_target"] else "missed"
    return f"{text}; causal/full {middle:.2f} ({low:.2f} to {high:.2f})  target {row['over_full_target']:g}: {verdict}"


if __name__ == "__main__":
    sys.exit(main())
