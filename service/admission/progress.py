"""Progress of one computation, from its compute thread to the event loop."""

import asyncio
from dataclasses import dataclass
from time import monotonic

MIN_PUBLISH_INTERVAL_SECONDS = 0.1
"""Shortest time between two updates; the first and the last tile are always published."""


@dataclass(frozen=True, slots=True)
class ProgressUpdate:
    """Tiles that are done, tiles in total, and the estimated seconds for the rest at the same pace."""

    done: int
    total: int
    seconds_left: float


class ProgressChannel:
    """Carries the latest update: the compute thread calls `start` and `publish`, the event loop `wait`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._published = asyncio.Event()
        self._started_at = self._published_at = 0.0
        self._latest: ProgressUpdate | None = None

    def start(self) -> None:
        """Announce that the request is valid and affordable, and that computing begins."""
        self._started_at = monotonic()
        self._loop.call_soon_threadsafe(self._store, None)

    def publish(self, done: int, total: int) -> None:
        """Publish the number of finished tiles, unless the last update is too recent."""
        now = monotonic()
        if 1 < done < total and now - self._published_at < MIN_PUBLISH_INTERVAL_SECONDS:
            return
        self._published_at = now
        left = (now - self._started_at) * (total - done) / max(1, done)
        self._loop.call_soon_threadsafe(self._store, ProgressUpdate(done, total, round(left, 3)))

    def _store(self, update: ProgressUpdate | None) -> None:
        self._latest = update or self._latest
        self._published.set()

    def take_latest(self) -> ProgressUpdate | None:
        """Return the latest update and remove it; None where there is no new one."""
        latest, self._latest = self._latest, None
        self._published.clear()
        return latest

    async def wait(self) -> None:
        """Wait until computing has started or there is an update that was not taken."""
        await self._published.wait()
