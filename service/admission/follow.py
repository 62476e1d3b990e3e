"""How far a request is, told from the thread that computes to the event loop."""

import asyncio
from dataclasses import dataclass
from time import monotonic

PAUSE_SECONDS = 0.1
"""Progress is told no more often than this, but at the first tile and the last."""


@dataclass(frozen=True, slots=True)
class Progress:
    """So many tiles are done, of so many; the rest takes so many seconds if it takes as long as those."""

    done: int
    total: int
    seconds_left: float


class Follower:
    """Follows one request.  Its thread calls `begin` and `tell`; the event loop waits for `news`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._began = self._told = 0.0
        self._latest: Progress | None = None
        self.begun = False
        """Whether the request is known to be right and affordable, and is being computed."""

    def begin(self) -> None:
        """The request is going to be computed."""
        self._began = monotonic()
        self._loop.call_soon_threadsafe(self._take, None)

    def tell(self, done: int, total: int) -> None:
        """So many tiles are done."""
        now = monotonic()
        if 1 < done < total and now - self._told < PAUSE_SECONDS:
            return
        self._told = now
        left = (now - self._began) * (total - done) / max(1, done)
        self._loop.call_soon_threadsafe(self._take, Progress(done, total, round(left, 3)))

    def _take(self, progress: Progress | None) -> None:
        self.begun = True
        self._latest = progress or self._latest
        self._news.set()

    def latest(self) -> Progress | None:
        """Return what has been told since it was last asked, the latest only."""
        latest, self._latest = self._latest, None
        self._news.clear()
        return latest

    async def news(self) -> None:
        """Wait until something has been told that nobody has asked for."""
        await self._news.wait()
