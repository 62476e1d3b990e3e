"""Large calls: their parts become tasks of the cluster."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise, zip_longest
from time import monotonic, perf_counter
from typing import Any, TypeVar

from attention_core import Workers
from attention_core.call import ResolvedCall
from attention_core.interfaces import ProgressCallback, ShouldStop
from attention_core.native import CutCall, Kernel, KernelResult, Part, PartResult, evaluate_in_parts, evaluate_part
from attention_core.native.forward import prepare
from service.cluster.connection import Cluster
from service.cluster.session import Session, unavailable
from service.cluster.tasks import TASK, ComputedPart, compute_part
from service.errors import ClusterUnavailable

PART_OPERATIONS = 100_000_000_000
"""Operations of a part where a call has more parts than the cluster CPUs: about 0.4 s of computing, against 10 ms for
the task (benchmarks/RESULTS.md, "Calls on a Ray cluster")."""

SMALLEST_CALL_PARTS = 10
"""Parts of the smallest call that runs on the cluster, at most: on many nodes smaller ones take longer to send than to
compute (benchmarks/RESULTS.md, "Calls on a Ray cluster")."""

MAX_PARTS_PER_CPU = 8
"""Parts for each CPU of the cluster: nodes end at about the same time, and a node that dies loses little."""

MIN_OBJECT_BYTES = 1 << 16
"""Memory from which on a region is an object of its own, which a node fetches once for all its tasks."""

MAX_RETRIES = 3
"""How often Ray runs a task again whose node has died."""

SLOW_SECONDS, SLOW_OPERATIONS, SLOW_BYTES = 5.0, 5_000_000_000, 20_000_000
"""A part stalls that has taken longer than this, plus a second for each of these operations and bytes: a node that is
frozen is noticed by Ray after 38 s.  This process then computes the part itself."""

T = TypeVar("T")

log = logging.getLogger("service.cluster")


def count_parts(operations: int, cpus: int, min_operations: int) -> int:
    """Return how many parts a call has: a multiple of the CPUs of the cluster, or fewer than these.

    :param operations: predicted ones of the call.
    :param cpus: of the cluster.
    :param min_operations: those from which on calls run on the cluster.
    """
    most = max(1, operations * SMALLEST_CALL_PARTS // min_operations)
    if most < cpus:
        return most
    rounds = -(-operations // (PART_OPERATIONS * cpus))
    return cpus * max(1, min(MAX_PARTS_PER_CPU, rounds))


def deal(parts: Sequence[Part], nodes: Sequence[T]) -> Iterator[tuple[T, Part]]:
    """Yield the parts of a call, each with the node that computes it, in the order in which they are sent.

    Neighbours, which read the same keys, have the same node; nodes take turns, so that none waits long for its first.

    :param parts: as the call is cut.
    :param nodes: one or more.
    """
    bounds = pairwise(len(parts) * number // len(nodes) for number in range(len(nodes) + 1))
    blocks = [parts[begin:end] for begin, end in bounds]
    for row in zip_longest(*blocks):
        yield from ((node, part) for node, part in zip(nodes, row, strict=True) if part is not None)


@dataclass
class Tasks:
    """The tasks of one call."""

    session: Session
    parts: dict[Any, Part] = field(default_factory=dict)
    """Parts that are not yet computed, by the references of their tasks."""
    sent_bytes: int = 0
    received_bytes: int = 0
    count: int = 0
    retries: int = 0


class LargeCall:
    """Evaluates a call on the cluster, as `attention_core.native.evaluate_with_kernel` does in this process."""

    def __init__(self, cluster: Cluster, operations: int) -> None:
        """Prepare to evaluate.

        :param cluster: the cluster.
        :param operations: predicted ones of the call.
        """
        self._cluster, self._operations = cluster, operations

    def __call__(
        self,
        kernel: Kernel,
        call: ResolvedCall,
        required: frozenset[str],
        workers: Workers | None,
        should_stop: ShouldStop | None,
        progress: ProgressCallback | None,
    ) -> KernelResult | None:
        """Return what `evaluate_with_kernel` does, with the same bits.

        Raises Stopped, and ClusterUnavailable.
        """
        try:
            with self._cluster.session() as session:
                n_parts = count_parts(self._operations, session.cpus, self._cluster.min_operations)
                evaluate = partial(self._evaluate, session)
                return evaluate_in_parts(kernel, call, required, n_parts, evaluate, should_stop, progress)
        except ClusterUnavailable:
            # This process computes the calls of NumPy, with a cluster or without.
            if prepare(kernel, call, required, 1) is None:
                return None
            raise

    def _evaluate(
        self, session: Session, cut: CutCall, should_stop: ShouldStop | None
    ) -> Iterator[tuple[Part, PartResult]]:
        """Yield the parts of a call with their results, in the order in which these arrive."""
        started, tasks = perf_counter(), Tasks(session)
        try:
            self._submit(tasks, cut, should_stop)
            yield from self._results(tasks, cut, should_stop)
        finally:
            session.cancel(list(tasks.parts))
            if tasks.retries:
                self._cluster.meter.cluster_retries(tasks.retries)
        seconds = perf_counter() - started
        self._cluster.meter.cluster_call(tasks.count, tasks.sent_bytes, tasks.received_bytes, seconds)

    def _submit(self, tasks: Tasks, cut: CutCall, should_stop: ShouldStop | None) -> None:
        """Put the memory that parts read into the object store, and start their tasks."""
        session, ray = tasks.session, tasks.session.ray
        run = session.remote(compute_part)
        try:
            objects: dict[int, Any] = {}
            for node, part in deal(cut.parts, session.cpu_nodes or [""]):
                session.check(should_stop)
                for number in part.regions:
                    if number not in objects:
                        region = cut.regions[number]
                        objects[number] = region if region.nbytes < MIN_OBJECT_BYTES else ray.put(region)
                        tasks.sent_bytes += region.nbytes
                # By default tasks go to the node that has their arguments, which is that of this process.
                strategy = session.prefer(node) if node else "SPREAD"
                options = {"name": TASK, "num_cpus": 1, "max_retries": MAX_RETRIES}
                reference = run.options(**options, scheduling_strategy=strategy).remote(
                    part, part.regions, *(objects[number] for number in part.regions)
                )
                tasks.parts[reference] = part
                tasks.count += 1
        except ray.exceptions.RayError as error:
            raise unavailable(_reason(error)) from error

    def _results(self, tasks: Tasks, cut: CutCall, should_stop: ShouldStop | None) -> Iterator[tuple[Part, PartResult]]:
        session, started = tasks.session, monotonic()
        while tasks.parts:
            session.check(should_stop)
            for reference in session.wait(list(tasks.parts)):
                result = self._fetch(tasks, reference)
                part = tasks.parts.pop(reference)
                yield part, result or self._compute_here(tasks, part, cut, should_stop)
                started = monotonic()
            if tasks.parts:
                reference, part = next(iter(tasks.parts.items()))
                if monotonic() > started + _patience(part, cut):
                    del tasks.parts[reference]
                    session.cancel([reference])
                    yield part, self._compute_here(tasks, part, cut, should_stop)

    def _fetch(self, tasks: Tasks, reference: Any) -> PartResult | None:
        """Return the result of a task that has ended; None where the part must be computed again."""
        ray = tasks.session.ray
        try:
            found: ComputedPart | None = ray.get(reference, timeout=SLOW_SECONDS)
        except ray.exceptions.RayError as error:
            log.warning("a task of the cluster failed: %s", _reason(error))
            return None
        if found is None:
            log.warning("a node of the cluster does not have the kernel of this process, or other sources of it")
            return None
        tasks.received_bytes += found.result.nbytes
        tasks.retries += found.attempt
        return found.result

    def _compute_here(self, tasks: Tasks, part: Part, cut: CutCall, should_stop: ShouldStop | None) -> PartResult:
        """Compute a part in this process, with the same bits."""
        tasks.retries += 1
        tasks.session.check(should_stop)
        result = evaluate_part(part, dict(enumerate(cut.regions)), should_stop)
        if result is None:
            raise RuntimeError("this process has made the part, and so has its kernel")
        return result


def _patience(part: Part, cut: CutCall) -> float:
    """Return the seconds after which a part stalls."""
    sent = sum(cut.regions[number].nbytes for number in part.regions)
    return SLOW_SECONDS + part.operations / SLOW_OPERATIONS + sent / SLOW_BYTES


def _reason(error: Exception) -> str:
    """Return the first line of an error of Ray."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
