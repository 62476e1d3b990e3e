"""A shard: a process of the cluster that computes what a range of the keys of one memory gives to a call.

Ray runs it as an actor.  The store of the memories stays the truth: a shard reads the version that a call names, and
answers why it cannot where it has no such version.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from attention_core import Workers
from attention_core.arrays import FloatArray
from attention_core.call import ResolvedCall
from attention_core.errors import CallError, Stopped
from attention_core.interfaces import ShouldStop
from attention_core.native import (
    Candidates,
    Kernel,
    PartialSpans,
    RangeRanking,
    RowBlock,
    WeightedKeys,
    apply_to_range,
    available_kernels,
    continue_key_range,
    evaluate_key_range,
    find_candidates,
    rank_range,
)
from attention_core.native.parts import sources_digest
from service.cluster.key_ranges import KeyRange, MemoryVersion, with_key_range
from service.memories import MemoryName, MemorySnapshot, MemoryStore, StorePlace, open_store
from service.memories.errors import MemoryNotFound, MemoryStoreError

LEASE_SECONDS = 2.0
"""Time after which a computation ends that its caller has not renewed, as when the caller has died."""

LOOK_SECONDS = 5.0
"""Time between two looks at whether the memory is still there."""

IDLE_SECONDS = 600.0
"""Time after the last call when a shard ends."""

MAX_VERSIONS = 2
"""Versions of a memory that a shard has open."""

MAX_STOPPED = 1000
"""Calls that are remembered as stopped, since they may arrive after that."""


Answer = TypeVar("Answer")


class Refusal(NamedTuple):
    """Why a shard has computed nothing."""

    reason: str


class ShardRequest(NamedTuple):
    """A call as a shard gets it."""

    number: str
    """Known to the caller and the shards alone."""
    memory: MemoryVersion
    held: KeyRange
    required: frozenset[str]
    kernel: str
    sources: str
    """Digest of the sources of the kernel, on which its bits depend."""


@dataclass
class _Lease:
    """Until when computations of one call may run; several blocks of its rows may do so at once."""

    until: float = 0.0
    computations: int = 0


class Shard:
    """Holds keys of one memory."""

    def __init__(
        self,
        place: StorePlace,
        name: MemoryName,
        threads: int,
        idle_seconds: float = IDLE_SECONDS,
        end: Callable[[], None] | None = None,
    ) -> None:
        """Open nothing yet.

        :param place: where the store is, in this machine as in that of the service.
        :param name: of the memory.
        :param threads: that share a computation.
        :param idle_seconds: time after the last call when the shard ends.
        :param end: called once then, or when the memory is gone; None to end the actor of this process.
        """
        self._place, self._name = place, name
        self._workers = Workers(threads)
        self._store: MemoryStore | None = None
        self._opened: OrderedDict[str, MemorySnapshot] = OrderedDict()
        self._opening = threading.Lock()
        self._leases: dict[str, _Lease] = {}
        self._leasing = threading.Lock()
        self._stopped: OrderedDict[str, None] = OrderedDict()
        self._used = time.monotonic()
        self._idle_seconds = idle_seconds
        self._end = end or _end_this_actor
        threading.Thread(target=self._look_after, name="shard", daemon=True).start()

    def load(self, memory: MemoryVersion) -> Refusal | None:
        """Open a version of the memory; return why that is impossible, None where it is open."""
        try:
            self._snapshot(memory)
        except (MemoryStoreError, OSError, ValueError) as error:
            return Refusal(f"{type(error).__name__}")
        return None

    def evaluate(self, request: ShardRequest, call: ResolvedCall) -> PartialSpans | Refusal:
        """Return what a range of keys gives to a call.

        :param request: which memory and which keys.
        :param call: as `without_keys` returns it.
        """

        def compute(kernel: Kernel, own: ResolvedCall, should_stop: ShouldStop) -> PartialSpans | None:
            return evaluate_key_range(kernel, own, request.required, request.held.first, self._workers, should_stop)

        return self._answer(request, call, compute)

    def find_candidates(self, request: ShardRequest, call: ResolvedCall) -> Candidates | Refusal:
        """Return the keys of a range that may have a weight; parameters as for `evaluate`."""

        def compute(kernel: Kernel, own: ResolvedCall, should_stop: ShouldStop) -> Candidates | None:
            return find_candidates(kernel, own, request.held.first, self._workers, should_stop)

        return self._answer(request, call, compute)

    def apply(self, request: ShardRequest, call: ResolvedCall, weighted: WeightedKeys) -> FloatArray | Refusal:
        """Return the sums of weighted values of a range; parameters as for `evaluate`.

        :param weighted: keys of the range with their weights.
        """
        return self._answer(request, call, lambda _, own, __: apply_to_range(own, request.held.first, weighted))

    def rank(self, request: ShardRequest, call: ResolvedCall, states: FloatArray) -> RangeRanking | Refusal:
        """Return the ranking of a range; parameters as for `evaluate`.

        :param states: of all spans of all ranges.
        """

        def compute(kernel: Kernel, own: ResolvedCall, should_stop: ShouldStop) -> RangeRanking | None:
            return rank_range(kernel, own, request.held.first, states, self._workers, should_stop)

        return self._answer(request, call, compute)

    def continue_rows(
        self, request: ShardRequest, call: ResolvedCall, block: RowBlock, before: PartialSpans | Refusal | None
    ) -> PartialSpans | Refusal:
        """Return what a range of keys and those before it give to some rows.

        :param request: which memory and which keys.
        :param call: as for `evaluate`.
        :param block: the rows.
        :param before: the answer of the shard before; None for the first.
        """
        if isinstance(before, Refusal):
            return before

        def compute(kernel: Kernel, own: ResolvedCall, should_stop: ShouldStop) -> PartialSpans | None:
            first = request.held.first
            return continue_key_range(kernel, own, request.required, first, block, before, self._workers, should_stop)

        return self._answer(request, call, compute)

    def renew(self, number: str) -> None:
        """Keep a computation going."""
        lease = self._leases.get(number)
        if lease is not None:
            lease.until = time.monotonic() + LEASE_SECONDS

    def stop(self, number: str) -> None:
        """End a computation, whether it runs or has yet to begin."""
        self._stopped[number] = None
        if len(self._stopped) > MAX_STOPPED:
            self._stopped.popitem(last=False)

    def _answer(
        self,
        request: ShardRequest,
        call: ResolvedCall,
        compute: Callable[[Kernel, ResolvedCall, ShouldStop], Answer | None],
    ) -> Answer | Refusal:
        """Return what a function computes with the kernel and the keys of a request."""
        kernel = available_kernels()[0].get(request.kernel)
        if kernel is None or sources_digest() != request.sources:
            return Refusal(f"the node has no kernel {request.kernel} of the same sources")
        try:
            with self._leased(request.number) as should_stop, np.errstate(all="ignore"):
                answer = compute(
                    kernel, with_key_range(call, self._snapshot(request.memory), request.held), should_stop
                )
        except (MemoryStoreError, CallError, OSError, ValueError, Stopped) as error:
            return Refusal(type(error).__name__)
        return Refusal("not in shards") if answer is None else answer

    @contextmanager
    def _leased(self, number: str) -> Iterator[ShouldStop]:
        """Return a function that says whether a computation is to end."""
        with self._leasing:
            lease = self._leases.setdefault(number, _Lease())
            lease.until = time.monotonic() + LEASE_SECONDS
            lease.computations += 1
        try:
            yield lambda: number in self._stopped or time.monotonic() > lease.until
        finally:
            with self._leasing:
                lease.computations -= 1
                if not lease.computations:
                    del self._leases[number]
            self._used = time.monotonic()

    def _snapshot(self, memory: MemoryVersion) -> MemorySnapshot:
        """Return a version of the memory; raises MemoryStoreError, OSError, or ValueError for another memory."""
        with self._opening:
            found = self._opened.get(memory.version)
            if found is None:
                if self._store is None:
                    self._store = open_store(self._place, has_upkeep=False)
                found = self._opened[memory.version] = self._store.snapshot(memory.name, memory.version)
                while len(self._opened) > MAX_VERSIONS:
                    self._opened.popitem(last=False)
            self._used = time.monotonic()
        if found.description.keys != memory.keys:
            raise ValueError("another number of keys")
        return found

    def _look_after(self) -> None:
        """End once the shard is idle or the memory is gone; let go of versions that are no longer current."""
        is_over = False
        while not is_over:
            time.sleep(min(LOOK_SECONDS, self._idle_seconds))
            is_idle = not self._leases and time.monotonic() > self._used + self._idle_seconds
            is_over = is_idle or (self._store is not None and self._is_gone(self._store))
        self._end()

    def _is_gone(self, store: MemoryStore) -> bool:
        try:
            current = store.describe(self._name).version
        except MemoryNotFound:
            return not self._leases
        except (MemoryStoreError, OSError):
            return False
        if not self._leases:
            with self._opening:
                for version in [one for one in self._opened if one != current]:
                    del self._opened[version]
        return False


def _end_this_actor() -> None:
    """End the actor of this process for good."""
    import ray  # noqa: PLC0415 — an extra

    actor: Any = ray.get_runtime_context().current_actor
    ray.kill(actor, no_restart=True)
