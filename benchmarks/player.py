"""One side of a comparison: a process of its own that does a piece of work whenever it is told to."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

PLAYERS = Path(__file__).parent / "players"

PAUSE = 0.25
"""Idle OpenMP threads spin for about 0.2 s and would steal a core from the other side."""


class Player:
    """A script in `players`, run by some Python with so many threads; see `players/turn.py` for what it understands.

    With a `core` it stays on that one.
    """

    def __init__(self, script: str, threads: int, python: str = sys.executable, core: str | None = None) -> None:
        bound = [] if core is None else ["taskset", "--cpu-list", core]
        command = [*bound, python, str(PLAYERS / script), str(threads)]
        # On our side threads share the tiles; BLAS must not start any of its own beside them.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(PLAYERS.parent.parent)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def seconds(self, work: str, times: int = 1) -> float:
        """Let it do a piece of work and return how long that took; the mean over so many times."""
        answer = float(self._ask(f"seconds {times} {work}"))
        time.sleep(PAUSE)
        return answer

    def growth(self, work: str) -> tuple[int, int]:
        """Let it do a piece of work once; return by how many bytes it grew at most, and how many its result holds."""
        grown, held = map(int, self._ask(f"bytes 1 {work}").split())
        return grown, held

    def _ask(self, line: str) -> str:
        channel = self._process
        if channel.stdin is None or channel.stdout is None:
            raise RuntimeError("the pipes are gone")
        channel.stdin.write(line + "\n")
        channel.stdin.flush()
        answer = channel.stdout.readline()
        if not answer:
            raise RuntimeError(f"no answer to {line!r}")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def growth_alone(script: str, threads: int, work: str, warm_up: str, python: str = sys.executable) -> tuple[int, int]:
    """Measure the memory of one piece of work in a process that has only done a small one before."""
    with Player(script, threads, python) as player:
        player.seconds(warm_up)
        return player.growth(work)
