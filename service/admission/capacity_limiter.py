"""A capacity limiter for compute threads: a bounded number in use, a bounded queue behind them, first in, first out."""

import asyncio
from collections import deque
from time import monotonic

from service.admission.observer import Observer
from service.errors import QueueFull


class CapacityLimiter:
    """Lends `threads` slots to requests of one event loop; at most `queue_size` requests wait for one.

    Every event is reported to `observer`.
    """

    def __init__(self, threads: int, queue_size: int, observer: Observer) -> None:
        self._threads, self._queue_size, self._observer = threads, queue_size, observer
        self._queue: deque[asyncio.Future[None]] = deque()
        self.in_use = 0
        """Number of slots that requests hold."""

    @property
    def waiting(self) -> int:
        """Number of requests in the queue."""
        return len(self._queue)

    def require_queue_space(self) -> None:
        """Raise QueueFull when every slot is in use and the queue is full."""
        if self.in_use >= self._threads and len(self._queue) >= self._queue_size:
            raise QueueFull(
                f"expected at most {self._queue_size} requests to wait for {self._threads} compute "
                "threads; received one more. Try again after the seconds in Retry-After."
            )

    async def acquire(self) -> None:
        """Wait for a slot, to be given back with `release`; a cancelled wait holds none.  Raise QueueFull at once."""
        self.require_queue_space()
        self._observer.queued()
        if self.in_use < self._threads:
            self.in_use += 1
            self._observer.started(0.0)
            return
        since, granted = monotonic(), asyncio.get_running_loop().create_future()
        self._queue.append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            self._observer.abandoned()
            if not granted.cancelled():
                self._hand_over()
            elif granted in self._queue:
                self._queue.remove(granted)
            raise
        self._observer.started(monotonic() - since)

    def release(self) -> None:
        """Give a slot back."""
        self._observer.finished()
        self._hand_over()

    def _hand_over(self) -> None:
        """Give the slot to the first in the queue.  It stays counted as in use, so that no newcomer takes it first."""
        while self._queue:
            granted = self._queue.popleft()
            if not granted.done():
                granted.set_result(None)
                return
        self.in_use -= 1
