"""What the gate tells whoever counts: every event comes from the event loop, one at a time, in a few per request."""

from typing import Literal, Protocol

Reason = Literal["queue-full", "bytes-in-flight", "deadline-exceeded", "disconnected"]
"""Why a request was turned away that would have been computed at another time."""


class Observer(Protocol):
    """Hears of requests that take a thread; small ones pass the gate unseen, since nothing ever makes them wait.

    The events of one request are `queued`, then `started` and `finished`, or `left`; so that
    queued - started - left are waiting, and started - finished are computing.
    """

    def queued(self) -> None:
        """A request waits for a compute thread, however shortly."""
        ...

    def started(self, waited: float) -> None:
        """It has one, after so many seconds."""
        ...

    def left(self) -> None:
        """It waits no longer and never had one."""
        ...

    def finished(self) -> None:
        """Its thread is free again."""
        ...

    def rejected(self, reason: Reason) -> None:
        """It was turned away, before or after it had a thread."""
        ...


class Unobserved:
    """Nobody counts."""

    def queued(self) -> None:
        """Ignore it."""

    def started(self, waited: float) -> None:
        """Ignore it."""

    def left(self) -> None:
        """Ignore it."""

    def finished(self) -> None:
        """Ignore it."""

    def rejected(self, reason: Reason) -> None:
        """Ignore it."""
