"""The core beside PyTorch on long sequences: float32, the same number of threads, outputs only.

Each side has a process of its own and they take turns, with a pause in between, because idle OpenMP threads spin for a
while and steal the other's core.  What counts is the median of the ratios of neighbouring turns.  PyTorch runs in its
best form: `inference_mode`, contiguous inputs, its flash kernel, the number of threads read back.  Ours is the public
`attend` with its checks on.

    python -m benchmarks.long_sequences --peer PYTHON-WITH-TORCH [--threads 2] [--pairs 15]
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

PLAYERS = Path(__file__).parent / "players"
SHAPES = ("1,8,1024,64", "1,8,4096,64", "1,1,16384,64", "1,8,2048,128")
WORKS = (*(f"{kind} {shape}" for shape in SHAPES for kind in ("full", "causal")), "additive 1,1,1024,64")
PAUSE = 0.25


class Player:
    """One side: a process that does a piece of work for every line it reads, and says how long it took."""

    def __init__(self, python: str, script: str, threads: int) -> None:
        command = [python, str(PLAYERS / script), str(threads)]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(PLAYERS.parent.parent)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def seconds(self, work: str) -> float:
        """Let it do a piece of work."""
        channel = self._process
        if channel.stdin is None or channel.stdout is None:
            raise RuntimeError("the pipes are gone")
        channel.stdin.write(work + "\n")
        channel.stdin.flush()
        answer = channel.stdout.readline()
        time.sleep(PAUSE)
        return float(answer)

    def close(self) -> None:
        """Let it go."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def main() -> int:
    """Print one line for each piece of work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer", required=True, help="a Python that has PyTorch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    ours = Player(sys.executable, "ours.py", options.threads)
    peer = Player(options.peer, "pytorch.py", options.threads)
    full = 0.0
    try:
        for work in WORKS:
            ours.seconds(work), peer.seconds(work)
            turns = [(ours.seconds(work), peer.seconds(work)) for _ in range(options.pairs)]
            low, middle, high = statistics.quantiles((mine / other for mine, other in turns), n=4)
            mine, other = (statistics.median(side) * 1e3 for side in zip(*turns, strict=True))
            beside = f"  causal/full {mine / full:.2f}" if work.startswith("causal") else ""
            full = mine
            print(
                f"{work:22} ours {mine:8.1f} ms  PyTorch {other:8.1f} ms  ratio {middle:.2f} ({low:.2f} to {high:.2f})"
                + beside,
                flush=True,
            )
    finally:
        ours.close()
        peer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
