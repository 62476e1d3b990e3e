"""Time and memory against length: one head of 64 features, float32, as many queries as keys.

Three series: everything asked back (scores, weights and output: the dense path), output only (the tiled path once it
pays), PyTorch's output.  Measured as in `long_sequences`; here memory is the whole growth, results included, and short
calls are repeated within a turn.  The dense path goes on for as long as half of the free memory holds it.

    python -m benchmarks.lengths --peer PYTHON-WITH-TORCH [--threads 2] [--only 4096]

Keeps its figures in `results/lengths.json`, of which `plot` makes the picture.
"""

import argparse
import statistics
import sys
from pathlib import Path

from benchmarks.figures import Row, keep, machine
from benchmarks.long_sequences import WARM_UP
from benchmarks.player import Player, growth_alone

LENGTHS = tuple(1 << power for power in range(8, 16))
FEATURES = 64
SERIES = {"all": ("ours.py", "all"), "output": ("ours.py", "full"), "PyTorch": ("pytorch.py", "full")}
"""Which script does which kind of work."""

TURN_SECONDS = 0.05
"""A turn lasts at least so long, beside the call itself."""

SERIES_SECONDS = 4.0
"""About how long all turns of one point last, within the bounds below."""

FEWEST_TURNS, MOST_TURNS = 3, 15


def main() -> int:
    """Measure every length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer", required=True, help="a Python that has PyTorch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", action="append", type=int, help="a length; may be given several times")
    options = parser.parse_args()
    pythons = {"ours.py": sys.executable, "pytorch.py": options.peer}
    description = machine(options.threads, options.peer)
    for length in options.only or LENGTHS:
        for series, (script, kind) in SERIES.items():
            if series == "all" and not fits(length):
                continue
            row = point(script, options.threads, f"{kind} 1,1,{length},{FEATURES}", pythons[script])
            keep("lengths", f"{series} {length}", {"series": series, "length": length, **row}, description)
            print(f"{series:8} {length:6} {row['seconds'] * 1e3:10.2f} ms {row['bytes'] / 2**20:10.1f} MiB", flush=True)
    return 0


def fits(length: int) -> bool:
    """Whether scores, weights and one more matrix of that length take no more than half of the free memory."""
    (line,) = (line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return 3 * 4 * length * length <= int(line.split()[1]) * 1024 / 2


def point(script: str, threads: int, work: str, python: str) -> Row:
    """Measure one point of one series."""
    grown, _ = growth_alone(script, threads, work, WARM_UP, python)
    with Player(script, threads, python) as player:
        player.seconds(work)
        once = player.seconds(work)
        times = max(1, round(TURN_SECONDS / once))
        turns = min(MOST_TURNS, max(FEWEST_TURNS, round(SERIES_SECONDS / (once * times))))
        measured = [player.seconds(work, times) for _ in range(turns)]
    low, middle, high = statistics.quantiles(measured, n=4, method="inclusive")
    return {"seconds": middle, "quartiles": [low, high], "bytes": grown, "turns": turns}


if __name__ == "__main__":
    sys.exit(main())
