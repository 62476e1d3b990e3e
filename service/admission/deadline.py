"""How long a request may take."""

from time import monotonic
from typing import NamedTuple

from service.errors import MalformedBody
from service.settings import Settings


class Deadline(NamedTuple):
    """A moment on the monotonic clock, counted from the arrival of the request."""

    at: float

    @classmethod
    def of(cls, request_timeout: str | None, settings: Settings) -> "Deadline":
        """Return the deadline of a request that has just arrived; Request-Timeout shortens it, never lengthens it.

        Raises MalformedBody when the header is not a positive number of seconds.
        """
        seconds = settings.deadline_seconds
        if request_timeout is not None:
            seconds = min(seconds, _seconds(request_timeout))
        return cls(monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, negative once it has passed."""
        return self.at - monotonic()

    def passed(self) -> bool:
        """Whether it has."""
        return monotonic() >= self.at


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise MalformedBody(
            f"expected a positive number of seconds in Request-Timeout; received {text[:40]!r}. Send, say, 2.5."
        )
    return seconds
