"""Relaxed appends reach the disk from a thread in the background."""

import logging
import os
import threading

from service.memories.files import Descriptor

INTERVAL_SECONDS = 0.05
"""Time between two syncs while appends go on: with the sync itself they stay below `SYNC_SECONDS`."""

logger = logging.getLogger(__name__)


class LogSyncer:
    """Syncs the logs that were written to, `INTERVAL_SECONDS` after the first write; sleeps while there is none."""

    def __init__(self) -> None:
        self._written: dict[int, Descriptor] = {}
        self._mutex = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memories-sync", daemon=True)
        self._thread.start()

    def add(self, file: Descriptor) -> None:
        """Have a log synced that was written to."""
        with self._mutex:
            self._written[file.number] = file
        self._wake.set()

    def close(self) -> None:
        """Sync everything, and end."""
        self._stopped.set()
        self._wake.set()
        self._thread.join()
        self._sync()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait()
            self._wake.clear()
            self._stopped.wait(INTERVAL_SECONDS)
            self._sync()

    def _sync(self) -> None:
        with self._mutex:
            written, self._written = self._written, {}
        for file in written.values():
            try:
                os.fdatasync(file.number)
            except OSError:
                logger.exception("a log of appends could not be synced")
