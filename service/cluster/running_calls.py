"""One call on a memory whose keys are spread: what its shards are asked, and how this process waits for them."""

import time
import uuid
from collections.abc import Sequence
from math import prod
from typing import Any, Protocol

import numpy as np

from attention_core import Workers
from attention_core.arrays import FloatArray
from attention_core.call import ResolvedCall
from attention_core.field_shapes import MATRIX_FIELDS
from attention_core.interfaces import ProgressCallback, ShouldStop
from attention_core.native import (
    Kernel,
    KernelResult,
    PartialSpans,
    divide_rows,
    keys_of_range,
    merge_key_ranges,
    merge_rankings,
    merge_sums,
    ranks_in_ranges,
    required_without_ranking,
    takes_candidates,
    weigh_candidates,
)
from attention_core.native.parts import sources_digest
from attention_core.native.request import STATE_NUMBERS
from service.cluster.key_ranges import KeyRange, MemoryVersion
from service.cluster.session import Session
from service.cluster.shard import Refusal, ShardRequest
from service.cluster.shard_groups import COMPUTE, CONTROL

MAX_SENT_NUMBERS = 1 << 20
"""Numbers of the partial results of a call, 4 MiB of float32; with more of them rows continue from shard to shard."""

MAX_INLINE_BYTES = 64 << 10
"""Size up to which a call is sent to each shard by itself, and not put into the object store first."""

RENEW_SECONDS = 0.5
"""Time between two messages that keep a computation going."""

SILENT_SECONDS = 3.0
"""Time without an answer to these messages after which a shard counts as lost."""


class ShardMeter(Protocol):
    """Counts what shards did, for the metrics."""

    def cluster_call(self, tasks: int, sent_bytes: int, received_bytes: int, seconds: float) -> None:
        """Count a call that the cluster has computed."""

    def shard_call(self, *, by_shards: bool) -> None:
        """Count a call on a memory with shards, by whether they have computed it."""

    def shards_lost(self) -> None:
        """Count that a shard of a memory was lost."""


class Lost(Exception):
    """A shard is gone or does not answer."""


class Refused(Exception):
    """A shard is there, and cannot compute a call, as when it finds another version of the memory."""


class RunningCall:
    """One call that shards compute."""

    def __init__(
        self,
        session: Session,
        actors: Sequence[Any],
        memory: MemoryVersion,
        ranges: Sequence[KeyRange],
        kernel: Kernel,
        call: ResolvedCall,
        required: frozenset[str],
    ) -> None:
        self._session, self._ray, self._actors = session, session.ray, actors[: len(ranges)]
        self._kernel, self._call, self._required = kernel, call, required
        self._number = uuid.uuid4().hex
        self._sent_bytes, self._received_bytes, self._tasks = _count_call_bytes(call), 0, 0
        self._sent = call if self._sent_bytes <= MAX_INLINE_BYTES else self._ray.put(call)
        self._ranks = ranks_in_ranges(call, required)
        self._first_required = required_without_ranking(required) if self._ranks else required
        self._requests = [
            ShardRequest(self._number, memory, held, self._first_required, kernel.name, sources_digest())
            for held in ranges
        ]

    def evaluate(
        self,
        workers: Workers | None,
        should_stop: ShouldStop | None,
        progress: ProgressCallback | None,
        meter: ShardMeter,
    ) -> KernelResult | None:
        """Return the result; raises Stopped, Lost or Refused."""
        started = time.perf_counter()
        result: KernelResult | None
        if takes_candidates(self._kernel, self._call, self._required):
            result = self._evaluate_sparse(should_stop, progress)
        else:
            partials = self._wait(self._ask_for_partials(), should_stop, progress)
            with np.errstate(all="ignore"):
                result = merge_key_ranges(
                    self._kernel, self._call, self._first_required, partials, workers, should_stop
                )
            if result is not None and result.unsafe is None and self._ranks:
                result.fields.update(self._rank(partials, should_stop))
        sent = self._sent_bytes * len(self._actors)
        meter.cluster_call(self._tasks, sent, self._received_bytes, time.perf_counter() - started)
        return result

    def _evaluate_sparse(self, should_stop: ShouldStop | None, progress: ProgressCallback | None) -> KernelResult:
        """Return the result of a normalizer with few weights above 0: first the keys, then the sums of their values."""
        candidates = self._wait(self._ask_all("find_candidates"), should_stop, None)
        with np.errstate(all="ignore"):
            maximum, weighted = weigh_candidates(self._call, candidates)
        own = [keys_of_range(weighted, *request.held) for request in self._requests]
        self._sent_bytes += sum(array.nbytes for array in weighted) // len(self._actors)
        sums = self._wait(self._ask_all("apply", own), should_stop, progress)
        return merge_sums(self._call, maximum, sums)

    def _rank(self, partials: Sequence[PartialSpans], should_stop: ShouldStop | None) -> dict[str, FloatArray]:
        """Return the ranking, of those of the shards, which need the state of every row for their weights."""
        states = np.concatenate([partial.state for partial in partials])
        self._sent_bytes += states.nbytes
        rankings = self._wait(self._ask_all("rank", [states] * len(self._actors)), should_stop, None)
        return merge_rankings(self._call, rankings)

    def _ask_for_partials(self) -> list[Any]:
        """Ask for partial results; return the references to them."""
        spans = -(-self._call.key_length // self._kernel.span)
        rows = prod(self._call.score_shape[:-1])
        width = 0 if self._call.stored_value is None else self._call.stored_value.shape[-1]
        continues = spans * rows * (width + STATE_NUMBERS) > MAX_SENT_NUMBERS
        if continues and not self._ranks and not self._required & (MATRIX_FIELDS | {"ranking"}):
            return self._continue_rows(rows, width)
        return self._ask_all("evaluate")

    def _ask_all(self, method: str, arguments: Sequence[Any] | None = None) -> list[Any]:
        """Call a method of every shard, each with an argument of its own; return the references to the answers."""
        own = [()] * len(self._actors) if arguments is None else [(argument,) for argument in arguments]
        asked = zip(self._actors, self._requests, own, strict=True)
        return [self._ask(getattr(actor, method), request, *argument) for actor, request, argument in asked]

    def _ask(self, method: Any, request: ShardRequest, *arguments: Any) -> Any:
        """Call a method of a shard; return the reference to its answer."""
        self._tasks += 1
        return method.options(concurrency_group=COMPUTE).remote(request, self._sent, *arguments)

    def _continue_rows(self, rows: int, width: int) -> list[Any]:
        """Pass the partial results of blocks of rows from shard to shard; return references to those of the last."""
        max_rows = min(-(-rows // (2 * len(self._actors))), MAX_SENT_NUMBERS // (4 * (width + STATE_NUMBERS)))
        references: list[Any] = []
        for block in divide_rows(self._kernel, self._call, max_rows):
            before = None
            for actor, request in zip(self._actors, self._requests, strict=True):
                before = self._ask(actor.continue_rows, request, block, before)
            references.append(before)
        return references

    def _wait(
        self, references: Sequence[Any], should_stop: ShouldStop | None, progress: ProgressCallback | None
    ) -> list[Any]:
        """Return the answers in their order; stop the shards where that fails."""
        waiting, messages = list(references), _Messages(self._ray, self._actors, self._number)
        is_complete = False
        try:
            while waiting:
                done = set(self._session.wait(waiting))
                waiting = [reference for reference in waiting if reference not in done]
                self._session.check(should_stop)
                if progress is not None and done:
                    progress(len(references) - len(waiting), len(references))
                if waiting:
                    messages.renew()
            # All have ended; an answer may still be lost with the node that made it.
            answers = self._ray.get(list(references), timeout=SILENT_SECONDS)
            is_complete = True
        except self._ray.exceptions.RayError as error:
            raise Lost(type(error).__name__) from None
        finally:
            if not is_complete:
                messages.stop()
        refusals = {answer.reason for answer in answers if isinstance(answer, Refusal)}
        if refusals:
            raise Refused(", ".join(sorted(refusals)))
        self._received_bytes += sum(map(_count_bytes, answers))
        return list(answers)


def _count_call_bytes(call: ResolvedCall) -> int:
    """Return the bytes of the largest arrays of a call without keys."""
    return call.query.nbytes + (0 if call.bias is None else call.bias.nbytes)


def _count_bytes(answer: Any) -> int:
    """Return the bytes of the arrays of an answer."""
    if isinstance(answer, np.ndarray):
        return answer.nbytes
    parts = answer.values() if isinstance(answer, dict) else answer
    return sum(map(_count_bytes, parts))


class _Messages:
    """Messages to the shards of a running call."""

    def __init__(self, ray: Any, actors: Sequence[Any], number: str) -> None:
        self._ray, self._actors, self._number = ray, actors, number
        self._renewed = time.monotonic()
        self._answered = self._renewed
        self._pending: list[Any] = []

    def renew(self) -> None:
        """Keep the computation going, every half second; raises Lost if a shard does not answer for three seconds."""
        now = time.monotonic()
        if self._pending:
            done, self._pending = self._ray.wait(self._pending, num_returns=len(self._pending), timeout=0)
            self._ray.get(done, timeout=SILENT_SECONDS)
        if not self._pending:
            self._answered = now
        elif now > self._answered + SILENT_SECONDS:
            raise Lost("no answer")
        if now > self._renewed + RENEW_SECONDS and not self._pending:
            self._renewed = now
            self._pending = [self._send(actor.renew) for actor in self._actors]

    def stop(self) -> None:
        """End the computation of every shard that is there."""
        for actor in self._actors:
            self._send(actor.stop)

    def _send(self, method: Any) -> Any:
        return method.options(concurrency_group=CONTROL).remote(self._number)
