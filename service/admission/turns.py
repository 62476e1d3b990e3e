"""Whose turn it is: so many at once, so many more in line, first come first served."""

import asyncio
from collections import deque
from time import monotonic

from service.admission.observer import Observer
from service.errors import QueueFull


class Turns:
    """Turns at the compute threads, for one event loop."""

    def __init__(self, threads: int, queue_size: int, observer: Observer) -> None:
        self._threads, self._queue_size, self._observer = threads, queue_size, observer
        self._line: deque[asyncio.Future[None]] = deque()
        self.taken = 0
        """How many have their turn."""

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return len(self._line)

    def require_room(self) -> None:
        """Raise QueueFull when nobody more may wait."""
        if self.taken >= self._threads and len(self._line) >= self._queue_size:
            raise QueueFull(
                f"expected at most {self._queue_size} requests to wait for {self._threads} compute "
                "threads; received one more. Try again after the seconds in Retry-After."
            )

    async def take(self) -> None:
        """Wait for a turn, which `leave` ends; cancelled, there is none.  Raises QueueFull at once."""
        self.require_room()
        self._observer.queued()
        if self.taken < self._threads:
            self.taken += 1
            self._observer.started(0.0)
            return
        since, place = monotonic(), asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            self._observer.left()
            if not place.cancelled():
                self._pass_on()
            elif place in self._line:
                self._line.remove(place)
            raise
        self._observer.started(monotonic() - since)

    def leave(self) -> None:
        """End a turn."""
        self._observer.finished()
        self._pass_on()

    def _pass_on(self) -> None:
        """Give a turn to whoever is first in line; it never looks free to anybody else meanwhile."""
        while self._line:
            place = self._line.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.taken -= 1
