"""Calls on memories whose keys are spread over the cluster: each shard computes its range, and this process merges.

Whatever a shard cannot do, or does not do in time, the caller does itself: a call is never wrong, and never waits for a
node that is gone.
"""

import logging
import threading

import numpy as np

from attention_core import Rotary, Workers
from attention_core.call import ResolvedCall
from attention_core.interfaces import ProgressCallback, ShouldStop
from attention_core.native import Kernel, KernelResult, takes_candidates, takes_key_ranges, without_keys
from service.cluster.key_ranges import cut_keys
from service.cluster.running_calls import Lost, Refused, RunningCall, ShardMeter
from service.cluster.session import Session
from service.cluster.shard_groups import ShardGroup, SpreadMemory
from service.memories import MemoryName, StorePlace

MIN_SHARDED_BYTES = 256 << 20
"""Size from which on a memory that names no number of shards has one for each node."""

MAX_GROUPS = 256
"""Memories whose shards a process knows."""

log = logging.getLogger("service.cluster")


class Sharding:
    """Computes calls on spread memories with their shards."""

    def __init__(self, meter: ShardMeter) -> None:
        self._meter = meter
        self._groups: dict[tuple[StorePlace, MemoryName, int], ShardGroup] = {}
        self._mutex = threading.Lock()

    def evaluate(
        self,
        session: Session,
        spread: SpreadMemory,
        kernel: Kernel,
        call: ResolvedCall,
        required: frozenset[str],
        workers: Workers | None,
        should_stop: ShouldStop | None,
        progress: ProgressCallback | None,
    ) -> KernelResult | None:
        """Return what `evaluate_with_kernel` does; None for a call that this process computes itself.

        The bits are the same.  None where shards cannot compute the call, and where they are not there: until they
        have started, or once a node is lost.

        :param session: connection to the cluster.
        :param spread: the memory whose keys and values the call has.
        :param kernel: that computes.
        :param call: a call with all of them.
        :param required: names of arrays.
        :param workers: threads that merge; None for the calling thread alone.
        :param should_stop: asked every 20 ms; None for never.
        :param progress: called after each shard.

        Raises Stopped.
        """
        # Ranges are whole spans: more shards than spans would be processes for nothing.
        shards = min(count_shards(session, spread), -(-spread.memory.keys // kernel.span))
        ranges = cut_keys(spread.memory.keys, shards, kernel.span)
        keyless = without_keys(call)
        if len(ranges) < 2 or not _is_for_shards(kernel, keyless, required):
            return None
        group = self._group(session, spread, shards)
        actors = group.actors
        result = None
        if actors:
            try:
                running = RunningCall(session, actors, spread.memory, ranges, kernel, keyless, required)
                result = running.evaluate(workers, should_stop, progress, self._meter)
            except (Lost, session.ray.exceptions.RayError) as error:
                # Ray raises errors of its own where a call cannot be sent, as when an object store is full.
                reason = str(error) if isinstance(error, Lost) else type(error).__name__
                log.warning("a memory is computed without its shards: %s", reason)
                self._meter.shards_lost()
                group.forget()
            except Refused as error:
                log.info("a memory is computed without its shards: %s", error)
        if not group.actors:
            group.start()
        self._meter.shard_call(by_shards=result is not None)
        return result

    def _group(self, session: Session, spread: SpreadMemory, shards: int) -> ShardGroup:
        key = (spread.place, spread.memory.name, shards)
        with self._mutex:
            group = self._groups.get(key)
            if group is None or group.session is not session:
                group = self._groups[key] = ShardGroup(spread, shards, session)
                while len(self._groups) > MAX_GROUPS:
                    del self._groups[next(iter(self._groups))]
        return group


def count_shards(session: Session, spread: SpreadMemory) -> int:
    """Return the number of shards of a memory."""
    if spread.shards is not None:
        return spread.shards
    return session.nodes if spread.bytes >= MIN_SHARDED_BYTES else 1


def _is_for_shards(kernel: Kernel, keyless: ResolvedCall, required: frozenset[str]) -> bool:
    """Return whether shards compute a call: not one with rotated keys, whose rotation is in this process already."""
    if isinstance(keyless.position, Rotary):
        return False
    with np.errstate(all="ignore"):
        return takes_key_ranges(kernel, keyless, required) or takes_candidates(kernel, keyless, required)
