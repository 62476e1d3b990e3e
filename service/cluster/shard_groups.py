"""The shards of memories: started, found and forgotten."""

import hashlib
import logging
import threading
import time
from functools import lru_cache
from importlib.metadata import version
from typing import Any, NamedTuple

from service.cluster.key_ranges import MemoryVersion
from service.cluster.session import Session
from service.cluster.shard import Shard
from service.memories import MemoryName, StorePlace

NAMESPACE = "attention-service"

START_SECONDS = 60.0
"""Longest that the shards of a memory may take to start before they are started anew."""

RETRY_SECONDS = 0.5
"""Time between two attempts to reach a shard that is starting."""

COMPUTE, CONTROL = "compute", "control"
"""Groups of threads of a shard."""

log = logging.getLogger("service.cluster")


class SpreadMemory(NamedTuple):
    """One version of a memory, and how many shards it has been put with."""

    place: StorePlace
    memory: MemoryVersion
    bytes: int
    shards: int | None
    """None for a number by its size."""


class ShardGroup:
    """The shards of one memory, as this process knows them."""

    def __init__(self, spread: SpreadMemory, shards: int, session: Session) -> None:
        self._spread, self._shards, self.session = spread, shards, session
        self.actors: list[Any] = []
        """Those that have opened the memory; none until all have."""
        self._starting = threading.Lock()

    def start(self) -> None:
        """Start the shards in the background, or find those that another process has started, unless that goes on."""
        if self._starting.acquire(blocking=False):
            threading.Thread(target=self._start, name="shards", daemon=True).start()

    def forget(self) -> None:
        """Take the shards for lost; they are started or found again for the next call."""
        self.actors = []

    def _start(self) -> None:
        try:
            with self.session.used():
                self._reach_all()
        # Whatever Ray raises; the next call tries again.
        except Exception as error:  # noqa: BLE001
            log.warning(
                "the shards of a memory did not start: %s: %s", type(error).__name__, str(error).partition("\n")[0]
            )
        finally:
            self._starting.release()

    def _reach_all(self) -> None:
        ray, until = self.session.ray, time.monotonic() + START_SECONDS
        actors = [self._actor(number) for number in range(self._shards)]
        waiting = dict(enumerate(actors))
        while waiting:
            self.session.check(None)
            answers = {number: actor.load.remote(self._spread.memory) for number, actor in waiting.items()}
            for number, reference in answers.items():
                try:
                    refusal = ray.get(reference, timeout=max(0.0, until - time.monotonic()))
                except ray.exceptions.GetTimeoutError:
                    raise
                except ray.exceptions.RayError:
                    # Restarting, or killed: then there is another by the next attempt.
                    actors[number] = waiting[number] = self._actor(number)
                    continue
                if refusal is not None and refusal.reason == "MemoryNotFound":
                    log.error("a node of the cluster does not find the memories; nodes need the store of the service")
                    return
                if refusal is not None:
                    # The memory may have changed since, or its store may be back for the next call.
                    log.warning("a shard of a memory could not read it yet: %s", refusal.reason)
                del waiting[number]
            if waiting:
                time.sleep(RETRY_SECONDS)
        self.actors = actors

    def _actor(self, number: int) -> Any:
        ray, spread = self.session.ray, self._spread
        threads = max(1, self.session.cpus // self.session.nodes)
        return (
            ray.remote(concurrency_groups={COMPUTE: 4, CONTROL: 2})(Shard)
            .options(
                name=f"{_group_name(spread.place, spread.memory.name)}-{number}",
                namespace=NAMESPACE,
                get_if_exists=True,
                lifetime="detached",
                max_restarts=-1,
                num_cpus=0,
                scheduling_strategy="SPREAD",
            )
            .remote(spread.place, spread.memory.name, threads)
        )


@lru_cache(maxsize=1024)
def _group_name(place: StorePlace, name: MemoryName) -> str:
    """Return a name for the shards of a memory, the same in every process of one version of the service.

    Names of owners and memories stand in none.
    """
    described = repr((version("attention-service"), place.url or place.directory, name))
    return hashlib.sha256(described.encode()).hexdigest()[:32]
