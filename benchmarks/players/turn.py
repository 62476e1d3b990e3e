"""What every player does: read a piece of work from standard input, do it, write how much time or memory it took.

A line is MEASURE TIMES KIND SIZES, as in ``seconds 1 causal 1,8,1024,64``.  Nothing beyond the standard library, since
each player has a Python of its own; peaks of memory are those that Linux keeps.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Work = Callable[[], Any]
Shape = tuple[int, ...]


def take_turns(prepare: Callable[[str, Shape], Work], held: Callable[[Any], int]) -> None:
    """Answer every line; `prepare` gives work to do, `held` says how many bytes its result holds."""
    known: tuple[str, str] | None = None
    work: Work = list
    for line in sys.stdin:
        measure, times, kind, sizes = line.split()
        if known != (kind, sizes):
            known = kind, sizes
            work = prepare(kind, tuple(map(int, sizes.split(","))))
        if measure == "seconds":
            print(seconds(work, int(times)), flush=True)
        else:
            print(*growth(work, held), flush=True)


def seconds(work: Work, times: int) -> float:
    """How long it takes to do the work once, the mean over so many times; letting go of the result is free if once."""
    start = time.perf_counter()
    for _ in range(times):
        result = work()
    elapsed = time.perf_counter() - start
    del result
    return elapsed / times


def growth(work: Work, held: Callable[[Any], int]) -> tuple[int, int]:
    """By how many bytes the process grew at most, and how many of them the result holds."""
    before = resident("VmRSS")
    # Resets the peak.
    Path("/proc/self/clear_refs").write_text("5")
    result = work()
    return resident("VmHWM") - before, held(result)


def resident(field: str) -> int:
    """A size from /proc/self/status, in bytes."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024
