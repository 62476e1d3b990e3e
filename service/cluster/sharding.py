"""Calls on memories whose keys are spread over the cluster: each shard computes its range, and this process merges.

Whatever a shard cannot do, or does not do in time, the caller does itself: a call is never wrong, and never waits for a
node that is gone.
"""

import hashlib
import logging
import pickle
import threading
import time
import uuid
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np

from attention_core import Rotary, Workers
from attention_core.call import ResolvedCall
from attention_core.field_shapes import MATRIX_FIELDS
from attention_core.interfaces import ProgressCallback, ShouldStop
from attention_core.native import (
    Kernel,
    KernelResult,
    PartialSpans,
    divide_rows,
    merge_key_ranges,
    takes_key_ranges,
    without_keys,
)
from attention_core.native.key_ranges import STATE_NUMBERS
from service.cluster.key_ranges import KeyRange, MemoryVersion, cut_keys
from service.cluster.shard import Order, Refusal, Shard
from service.memories import MemoryName, StorePlace

NAMESPACE = "attention-service"

MIN_SHARDED_BYTES = 256 << 20
"""Size from which on a memory that names no number of shards has one for each node."""

MAX_PARTIAL_NUMBERS = 1 << 20
"""Numbers of the partial results of a call, 4 MiB of float32; with more of them rows continue from shard to shard."""

MAX_INLINE_BYTES = 64 << 10
"""Size up to which a call is sent to each shard by itself, and not put into the object store first."""

POLL_SECONDS = 0.02
"""Time between two looks at whether the call is to stop."""

RENEW_SECONDS = 0.5
"""Time between two messages that keep a computation going."""

SILENT_SECONDS = 3.0
"""Time without an answer to these messages after which a shard counts as lost."""

START_SECONDS = 60.0
"""Longest that the shards of a memory may take to start before they are started anew."""

RETRY_SECONDS = 0.5
"""Time between two attempts to reach a shard that is starting."""

MAX_GROUPS = 256
"""Memories whose shards a process knows."""

COMPUTE, CONTROL = "compute", "control"
"""Groups of threads of a shard."""

log = logging.getLogger("service.cluster")


class Session(Protocol):
    """A connection to a cluster: `service.cluster.connection.Session`."""

    ray: Any
    cpus: int
    nodes: int

    def check(self, should_stop: ShouldStop | None) -> None:
        """Raise Stopped if a request is to stop, or ClusterUnavailable if the cluster no longer answers."""

    def used(self) -> Any:
        """Keep the connection open until the context ends."""


class ShardMeter(Protocol):
    """Counts what shards did, for the metrics."""

    def cluster_call(self, tasks: int, sent_bytes: int, received_bytes: int, seconds: float) -> None:
        """Count a call that the cluster has computed."""

    def shard_call(self, *, by_shards: bool) -> None:
        """Count a call on a memory with shards, by whether they have computed it."""

    def shards_lost(self) -> None:
        """Count that a shard of a memory was lost."""


class SpreadMemory(NamedTuple):
    """One version of a memory, and how many shards it has been put with."""

    place: StorePlace
    memory: MemoryVersion
    bytes: int
    shards: int | None
    """None for a number by its size."""


class _Lost(Exception):
    """A shard is gone or does not answer."""


class _Refused(Exception):
    """A shard is there, and cannot compute a call, as when it finds another version of the memory."""


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
        shards = _count_shards(session, spread)
        ranges = cut_keys(spread.memory.keys, shards, kernel.span)
        front = without_keys(call)
        if len(ranges) < 2 or not _is_for_shards(kernel, front, required):
            return None
        group = self._group(session, spread, shards)
        actors = group.actors
        result = None
        if actors:
            try:
                running = _Running(session, actors, spread.memory, ranges, kernel, front, required)
                result = running.evaluate(workers, should_stop, progress, self._meter)
            except _Lost as error:
                log.warning("a memory is computed without its shards: %s", error)
                self._meter.shards_lost()
                group.forget()
            except _Refused as error:
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


def _count_shards(session: Session, spread: SpreadMemory) -> int:
    """Return the number of shards of a memory."""
    if spread.shards is not None:
        return spread.shards
    return session.nodes if spread.bytes >= MIN_SHARDED_BYTES else 1


def _is_for_shards(kernel: Kernel, front: ResolvedCall, required: frozenset[str]) -> bool:
    """Return whether shards compute a call: not one with rotated keys, whose rotation is in this process already."""
    if isinstance(front.position, Rotary):
        return False
    with np.errstate(all="ignore"):
        return takes_key_ranges(kernel, front, required)


class _Running:
    """One call that shards compute."""

    def __init__(
        self,
        session: Session,
        actors: Sequence[Any],
        memory: MemoryVersion,
        ranges: Sequence[KeyRange],
        kernel: Kernel,
        front: ResolvedCall,
        required: frozenset[str],
    ) -> None:
        self._session, self._ray, self._actors = session, session.ray, actors[: len(ranges)]
        self._kernel, self._front, self._required = kernel, front, required
        self._number = uuid.uuid4().hex
        content = pickle.dumps(front, pickle.HIGHEST_PROTOCOL)
        self._sent_bytes = len(content)
        self._content = content if len(content) <= MAX_INLINE_BYTES else self._ray.put(content)
        self._orders = [Order(self._number, memory, held, required, kernel.name) for held in ranges]

    def evaluate(
        self,
        workers: Workers | None,
        should_stop: ShouldStop | None,
        progress: ProgressCallback | None,
        meter: ShardMeter,
    ) -> KernelResult | None:
        """Return the result; raises Stopped, _Lost or _Refused."""
        started = time.perf_counter()
        spans = -(-self._front.key_length // self._kernel.span)
        rows = prod(self._front.score_shape[:-1])
        width = 0 if self._front.stored_value is None else self._front.stored_value.shape[-1]
        continues = spans * rows * (width + STATE_NUMBERS) > MAX_PARTIAL_NUMBERS
        if continues and not self._required & (MATRIX_FIELDS | {"ranking"}):
            references = self._continue_rows(rows, width)
        else:
            references = [
                self._ask(actor.evaluate, order) for actor, order in zip(self._actors, self._orders, strict=True)
            ]
        partials = self._wait(references, should_stop, progress)
        with np.errstate(all="ignore"):
            result = merge_key_ranges(self._kernel, self._front, self._required, partials, workers, should_stop)
        received = sum(
            one.state.nbytes + one.output.nbytes + sum(matrix.nbytes for matrix in one.matrices.values())
            for one in partials
        )
        sent = self._sent_bytes * len(self._actors)
        meter.cluster_call(len(references), sent, received, time.perf_counter() - started)
        return result

    def _ask(self, method: Any, order: Order, *arguments: Any) -> Any:
        """Call a method of a shard; return the reference to its answer."""
        return method.options(concurrency_group=COMPUTE).remote(order, self._content, *arguments)

    def _continue_rows(self, rows: int, width: int) -> list[Any]:
        """Pass the partial results of blocks of rows from shard to shard; return references to those of the last."""
        max_rows = min(-(-rows // (2 * len(self._actors))), MAX_PARTIAL_NUMBERS // (4 * (width + STATE_NUMBERS)))
        references: list[Any] = []
        for block in divide_rows(self._kernel, self._front, max_rows):
            before = None
            for actor, order in zip(self._actors, self._orders, strict=True):
                before = self._ask(actor.continue_rows, order, block, before)
            references.append(before)
        return references

    def _wait(
        self, references: Sequence[Any], should_stop: ShouldStop | None, progress: ProgressCallback | None
    ) -> list[PartialSpans]:
        """Return the answers in their order; stop the shards where that fails."""
        waiting, messages = list(references), _Messages(self._ray, self._actors, self._number)
        is_complete = False
        try:
            while waiting:
                count = len(waiting)
                _, waiting = self._ray.wait(waiting, num_returns=count, timeout=POLL_SECONDS)
                self._session.check(should_stop)
                if progress is not None and len(waiting) < count:
                    progress(len(references) - len(waiting), len(references))
                if waiting:
                    messages.renew()
            answers = self._ray.get(list(references))
            is_complete = True
        except self._ray.exceptions.RayError as error:
            raise _Lost(type(error).__name__) from None
        finally:
            if not is_complete:
                messages.stop()
        refusals = {answer.reason for answer in answers if isinstance(answer, Refusal)}
        if refusals:
            raise _Refused(", ".join(sorted(refusals)))
        return list(answers)


class _Messages:
    """Messages to the shards of a running call."""

    def __init__(self, ray: Any, actors: Sequence[Any], number: str) -> None:
        self._ray, self._actors, self._number = ray, actors, number
        self._renewed = time.monotonic()
        self._answered = self._renewed
        self._pending: list[Any] = []

    def renew(self) -> None:
        """Keep the computation going, every half second; raises _Lost if a shard does not answer for three seconds."""
        now = time.monotonic()
        if self._pending:
            done, self._pending = self._ray.wait(self._pending, num_returns=len(self._pending), timeout=0)
            self._ray.get(done)
        if not self._pending:
            self._answered = now
        elif now > self._answered + SILENT_SECONDS:
            raise _Lost("no answer")
        if now > self._renewed + RENEW_SECONDS and not self._pending:
            self._renewed = now
            self._pending = [self._tell(actor.renew) for actor in self._actors]

    def stop(self) -> None:
        """End the computation of every shard that is there."""
        for actor in self._actors:
            self._tell(actor.stop)

    def _tell(self, method: Any) -> Any:
        return method.options(concurrency_group=CONTROL).remote(self._number)
