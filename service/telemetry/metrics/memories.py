"""How many memories are kept, and how large they are: measured when a scrape asks."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from service.memories import Memories
from service.memories.errors import MemoryStoreError
from service.telemetry.metrics.store import MetricStore

MAX_WAIT_SECONDS = 0.25
"""Longest that a scrape waits for the store; after that it shows the numbers of an earlier one."""


class MemoryMetrics:
    """Measures the memories into a store of metrics; without memories the numbers stay absent.

    :param store: of the metrics.
    :param memories: returns the memories of the process.
    """

    def __init__(self, store: MetricStore, memories: Callable[[], Memories]) -> None:
        self._store = store
        self._memories = memories
        self._measuring: asyncio.Future[None] | None = None

    async def measure(self) -> None:
        """Measure in a thread; a measurement that has not ended is waited for again."""
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.get_running_loop().run_in_executor(None, self._measure)
        await asyncio.wait((self._measuring,), timeout=MAX_WAIT_SECONDS)

    def _measure(self) -> None:
        memories = self._memories()
        with suppress(MemoryStoreError, OSError):
            usage = memories.store.usage()
            self._store.set(self._store.slot(("attention_memories",)), usage.memories)
            self._store.set(self._store.slot(("attention_memories_bytes",)), usage.bytes)
