"""The deadline of a request."""

import re
from time import monotonic
from typing import NamedTuple

from service.errors import MalformedBody
from service.settings import Settings

SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
"""The form of Request-Timeout; Python's own `float` would read `inf`, `1_0` and digits of other scripts too."""


class Deadline(NamedTuple):
    """A moment on the monotonic clock, counted from the arrival of the request."""

    at: float

    @classmethod
    def from_header(cls, request_timeout: str | None, settings: Settings) -> "Deadline":
        """Return the deadline of a request that has just arrived; Request-Timeout shortens it, never lengthens it.

        Raises MalformedBody when the header is not digits with an optional fraction, or is 0: no answer is ready after
        0 seconds, so that a client that sends 0 means something else.
        """
        seconds = settings.deadline_seconds
        if request_timeout is not None:
            seconds = min(seconds, _seconds(request_timeout))
        return cls(monotonic() + seconds)

    @property
    def remaining_seconds(self) -> float:
        """Seconds until the deadline, negative after it."""
        return self.at - monotonic()

    def passed(self) -> bool:
        """Return whether the deadline has passed."""
        return monotonic() >= self.at


def _seconds(text: str) -> float:
    seconds = float(text) if SECONDS.fullmatch(text) else 0.0
    if seconds == 0:
        raise MalformedBody(
            "expected a number of seconds greater than 0 in Request-Timeout, digits with an optional fraction; "
            f"received {text[:40]!r}. Send, say, 2.5."
        )
    return seconds
