"""How far the service is with a long computation."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

WIDTH = 30
"""Characters of a full bar."""


@dataclass(frozen=True, slots=True)
class Progress:
    """So many tiles are done, of so many; `seconds_left` if the rest takes as long, None while nobody can tell."""

    done: int
    total: int
    seconds_left: float | None = None


OnProgress = Callable[[Progress], None]


class ProgressBar:
    """Draws a bar in one line of a terminal: ``client.attend(query, key, value, progress=ProgressBar())``."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def __call__(self, progress: Progress) -> None:
        """Draw it anew; the last one ends the line."""
        filled = WIDTH * progress.done // max(progress.total, 1)
        left = "" if progress.seconds_left is None else f", {progress.seconds_left:.1f} s left"
        end = "\n" if progress.done >= progress.total else ""
        self._stream.write(f"\r[{'#' * filled:<{WIDTH}}] {progress.done}/{progress.total} tiles{left:<16}{end}")
        self._stream.flush()
