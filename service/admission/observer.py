"""Events of admission, as metrics count them."""

from typing import Literal, Protocol

Reason = Literal["queue-full", "bytes-in-flight", "deadline-exceeded", "disconnected"]
"""Why a request was rejected that would have been computed at another time."""


class Observer(Protocol):
    """Receives the events of requests that need a compute thread; small requests need none and cause no event.

    The events of one request are `queued`, then `started` and `finished`, or `abandoned`: queued - started - abandoned
    requests are waiting, and started - finished are computing.  The event loop calls the methods, one at a time.
    """

    def queued(self) -> None:
        """A request waits for a compute thread, however shortly."""

    def started(self, waited_seconds: float) -> None:
        """A request has a thread, after a wait in seconds."""

    def abandoned(self) -> None:
        """A request has stopped waiting without ever having a thread."""

    def finished(self) -> None:
        """The thread of a request is free again."""

    def rejected(self, reason: Reason) -> None:
        """A request was rejected, before or after it had a thread."""
