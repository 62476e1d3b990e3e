"""How far a long computation has come."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

BAR_CHARACTERS = 30
"""Characters of a full bar."""


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a computation.

    :param done: tiles that are computed.
    :param total: tiles of the whole computation.
    :param seconds_left: estimate from the time that the computed tiles took; None as long as there is none.
    """

    done: int
    total: int
    seconds_left: float | None = None


OnProgress = Callable[[Progress], None]
"""Called with each progress that the service reports."""


class ProgressBar:
    """Draws a bar in one line of a terminal: ``client.attend(query, key, value, progress=ProgressBar())``.

    :param stream: default standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def __call__(self, progress: Progress) -> None:
        """Draw the bar over the previous one; end the line when all tiles are computed."""
        filled = BAR_CHARACTERS * progress.done // max(progress.total, 1)
        left = "" if progress.seconds_left is None else f", {progress.seconds_left:.1f} s left"
        end = "\n" if progress.done >= progress.total else ""
        bar = f"{'#' * filled:<{BAR_CHARACTERS}}"
        self._stream.write(f"\r[{bar}] {progress.done}/{progress.total} tiles{left:<16}{end}")
        self._stream.flush()
