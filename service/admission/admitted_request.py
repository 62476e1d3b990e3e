"""One admitted request, from its head to the last byte of its answer."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from attention_core import Stopped, Workers
from service.admission.capacity_limiter import CapacityLimiter
from service.admission.deadline import Deadline
from service.admission.memory_budget import MemoryBudget, Reservation
from service.admission.observer import Observer, Reason
from service.admission.progress import ProgressChannel
from service.admission.request_body import read_body, too_large
from service.admission.timed_receive import Receive
from service.cluster import Cluster
from service.compute import Body, Meter, Prepare, Prepared, Reply, Run, decoding_bytes
from service.errors import DeadlineExceeded, Disconnected, NoRoom, QueueFull, ServiceError, TooLarge
from service.memories import MustWait, Stopping
from service.settings import Settings

# A hop to a compute thread takes longer than a small request.  Computed on the event loop, the request of the row
# "4 keys × 8, JSON, all three results" of benchmarks/RESULTS.md takes a third of the time.  The limits below bound how
# long every other request waits for the event loop.

MAX_INLINE_BODY_BYTES = 8 * 1024
"""Largest body that is decoded on the event loop, which takes up to 100 µs."""

MAX_INLINE_OPERATIONS = 3_000_000
"""Most operations of a call that is computed on the event loop, which takes up to 100 µs more."""

MAX_INLINE_OPERATIONS_COMPRESSED = MAX_INLINE_OPERATIONS // 8
"""The same limit where the answer may be compressed, which takes about as long as computing 50 KiB of it."""

MAX_INLINE_HELD_BYTES = 1 << 20
"""Most bytes that an inline call may hold: encoding more takes milliseconds, however little there is to compute."""

INITIAL_WORK_BYTES = 1 << 22
"""Reserve 4 MiB when a thread starts, so that most requests never ask the event loop again."""

REASONS: dict[type[Exception], Reason] = {
    QueueFull: "queue-full",
    NoRoom: "bytes-in-flight",
    Stopped: "deadline-exceeded",
    Disconnected: "disconnected",
}
"""Rejections that are reported to the observer."""

Preparation = Callable[[], tuple[Prepared, int]]
"""Prepares a request in its thread, and returns it with the bytes that its tensors hold."""


@dataclass(frozen=True, slots=True)
class AdmissionContext:
    """Everything that the admitted requests of one process share."""

    settings: Settings
    workers: Workers
    observer: Observer
    threads: ThreadPoolExecutor
    limiter: CapacityLimiter
    memory: MemoryBudget
    meter: Meter | None
    cluster: Cluster | None

    def waits_for_cluster(self, operations: int) -> bool:
        """Return whether a call of this many predicted operations is computed elsewhere."""
        return self.cluster is not None and operations >= self.cluster.min_operations


class AdmittedRequest:
    """Reads a body and computes its answer.

    An asynchronous context manager, which holds the memory of the request until it is left: leave it when the answer is
    sent.
    """

    __slots__ = ("_context", "_converted_bytes", "_deadline", "_loop", "_planned_bytes", "_receive", "_reservation")

    def __init__(self, context: AdmissionContext, receive: Receive, deadline: Deadline) -> None:
        self._context, self._receive, self._deadline = context, receive, deadline
        self._reservation = Reservation()
        # What the work holds: by plan, and for memories that it converts.
        self._planned_bytes = self._converted_bytes = 0

    async def __aenter__(self) -> "AdmittedRequest":
        """Return the request; nothing is reserved yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Release the memory, as soon as no thread works on the request."""
        self._context.memory.release(self._reservation)

    async def read(self, content_length: bytes | None, limit: int, lead: bytes = b"") -> bytes:
        """Return `lead` and then the body, whose memory is reserved before it is read.

        `content_length` is the header field, `limit` the largest body in bytes.  Raises TooLarge, QueueFull, NoRoom,
        BodyTimeout, or Disconnected.
        """
        seconds = self._context.settings.body_timeout_seconds
        announced = 0 if content_length is None else int(content_length)
        if announced > limit:
            raise too_large(announced, limit)
        if announced <= MAX_INLINE_BODY_BYTES:
            return await read_body(self._receive, limit, seconds, lead, self._extend)
        with self._reporting_rejections():
            # It will need a thread: a client hears that there is none before it sends the body.
            self._context.limiter.require_queue_space()
            await self._context.memory.reserve_body(self._reservation, announced)
        return await read_body(self._receive, limit, seconds, lead)

    async def run(self, body: Body, prepare: Prepare, progress: ProgressChannel | None = None) -> Reply:
        """Return the answer to a body that has been read; with a progress channel it is computed in a thread.

        Raises QueueFull at once when the queue is full, NoRoom when other requests hold the memory, DeadlineExceeded
        when the answer is late, Disconnected when the client is gone, and everything that `prepare` and `complete`
        raise.
        """
        context = self._context
        if len(body.content) > MAX_INLINE_BODY_BYTES or body.encoding is not None or progress is not None:
            return await self._run_in_thread(body, lambda: self._prepare(body, prepare), progress)
        try:
            prepared: Prepared = prepare(body, context.settings)
        except MustWait:
            return await self._run_in_thread(body, lambda: self._prepare(body, prepare), None)
        plain = body.wanted_encoding.name is None
        max_operations = MAX_INLINE_OPERATIONS if plain else MAX_INLINE_OPERATIONS_COMPRESSED
        waits = prepared.waits or context.waits_for_cluster(prepared.operations)
        if prepared.operations > max_operations or prepared.bytes > MAX_INLINE_HELD_BYTES or waits:
            return await self._run_in_thread(body, lambda: self._complete_later(body, prepared), None)
        return prepared.complete(Run(context.workers, meter=context.meter, cluster=context.cluster))

    @contextmanager
    def _reporting_rejections(self) -> Iterator[None]:
        try:
            yield
        except (QueueFull, NoRoom, Stopped, Disconnected) as error:
            self._context.observer.rejected(REASONS[type(error)])
            raise

    def _extend(self, size: int) -> None:
        """Reserve memory for a body of unknown length that has reached `size` bytes, doubling what it holds."""
        held = self._reservation.body_bytes
        if size > max(held, MAX_INLINE_BODY_BYTES):
            with self._reporting_rejections():
                self._context.memory.extend_body(self._reservation, max(size, 2 * held) - held)

    def _prepare(self, body: Body, prepare: Prepare) -> tuple[Prepared, int]:
        """Prepare a request in a thread; return it and the bytes that its tensors hold."""
        settings = self._context.settings
        decoding = decoding_bytes(body, settings)
        # The estimate is an upper bound.  A request that is alone is admitted all the same: body limits bound it too.
        self._plan(min(decoding, self._context.memory.limit_bytes - self._reservation.body_bytes))
        if body.memories is not None:
            body.memories.in_thread(self._reserve_converted)
        return prepare(body, settings), decoding // 2

    def _complete_later(self, body: Body, prepared: Prepared) -> tuple[Prepared, int]:
        """Let a request that is prepared go on in a thread; return it and the bytes that its tensors hold."""
        if body.memories is not None:
            body.memories.in_thread(self._reserve_converted)
        return prepared, 0

    def _plan(self, size: int) -> None:
        """Wait in a thread until the request holds `size` bytes beside its body and the memories that it converts."""
        self._planned_bytes = size
        self._reserve_work(size + self._converted_bytes)

    def _reserve_converted(self, size: int) -> None:
        """Wait in a thread until the request holds `size` further bytes, for a memory that is converted."""
        limit = self._context.memory.limit_bytes
        if size > limit:
            raise TooLarge(
                f"expected to hold at most {limit} bytes; received a request that converts a memory to {size}. Ask for "
                "the dtype of the memory, without rotary, or keep fewer keys in it."
            )
        self._converted_bytes += size
        self._reserve_work(self._planned_bytes + self._converted_bytes)

    def _reserve_work(self, size: int) -> None:
        """Wait in a thread until the request holds `size` bytes beside its body."""
        reservation = self._reservation
        if size > reservation.work_bytes:
            granted: Future[None] = asyncio.run_coroutine_threadsafe(
                self._context.memory.reserve_work(reservation, size - reservation.work_bytes), self._loop
            )
            try:
                granted.result()
            except CancelledError:
                raise Stopped("cancelled while waiting for memory") from None

    async def _run_in_thread(self, body: Body, prepare: Preparation, progress: ProgressChannel | None) -> Reply:
        """Return the answer, or report why there is none, and whether a memory was changed."""
        try:
            with self._reporting_rejections():
                return await self._first_outcome(prepare, progress)
        except ServiceError as error:
            if body.memories is not None:
                # Some faults show in the numbers alone, which are computed behind an append.
                error.sentence_on_memory, error.memory_version = body.memories.end()
            raise
        except Stopped:
            late = DeadlineExceeded(
                "expected an answer before the deadline; received more work than that time allows. Send less at once, "
                f"or allow more time: Request-Timeout up to {self._context.settings.deadline_seconds:g} seconds."
            )
            if body.memories is not None:
                late.sentence_on_memory, late.memory_version = body.memories.end()
            raise late from None

    async def _first_outcome(self, prepare: Preparation, progress: ProgressChannel | None) -> Reply:
        """Return the answer if it comes first; raise Stopped at the deadline, or Disconnected.

        The thread wakes this task itself.  With tasks and a shield in between the answer would pass five rounds of the
        event loop, and two system calls in each.
        """
        gone = asyncio.ensure_future(_disconnected(self._receive))
        try:
            async with asyncio.timeout(max(0.0, self._deadline.remaining_seconds)) as waiting:

                def stop_waiting(_: object) -> None:
                    # After the answer there is no wait to end.
                    with suppress(RuntimeError):
                        waiting.reschedule(0)

                gone.add_done_callback(stop_waiting)
                return await self._compute(prepare, progress)
        except TimeoutError:
            if gone.done():
                raise Disconnected("the client went away before its answer was ready") from None
            raise Stopped("the deadline has passed") from None
        finally:
            gone.cancel()

    async def _compute(self, prepare: Preparation, progress: ProgressChannel | None) -> Reply:
        """Compute in the next free thread; once cancelled, work that has begun ends at its next tile."""
        context, reservation = self._context, self._reservation
        await context.limiter.acquire()
        context.memory.start_computing(reservation)
        context.memory.try_reserve_work(reservation, INITIAL_WORK_BYTES)
        cancelled = threading.Event()
        self._loop = loop = asyncio.get_running_loop()
        answered: asyncio.Future[Reply] = loop.create_future()

        def should_stop() -> bool:
            return cancelled.is_set() or self._deadline.passed()

        def complete() -> Reply:
            if should_stop():
                raise Stopped("the deadline passed in the queue")
            # Count this thread, so that no helper of another request takes the same core.
            with context.workers.count_calling_thread():
                prepared, held = prepare()
                self._plan(held + prepared.bytes)
                run = Run(context.workers, should_stop, None, context.meter, context.cluster)
                if progress is None:
                    return prepared.complete(run)
                progress.start()
                return prepared.complete(run._replace(progress=progress.publish))

        def complete_or_stop() -> Reply:
            try:
                return complete()
            except Stopping:
                raise Stopped("the request ended before it wrote to a memory") from None

        def finish(done: Future[Reply]) -> None:
            # The event loop is closed where a process ends before its threads.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._finish, done, answered)

        context.threads.submit(complete_or_stop).add_done_callback(finish)
        try:
            return await answered
        finally:
            cancelled.set()

    def _finish(self, done: Future[Reply], answered: "asyncio.Future[Reply]") -> None:
        """Release the thread, which may end long after the request has stopped waiting for it."""
        error = CancelledError() if done.cancelled() else done.exception()
        self._context.memory.finish_computing(self._reservation, 0 if error else done.result().held_bytes)
        self._context.limiter.release()
        if answered.done():
            return
        if error is None:
            answered.set_result(done.result())
        else:
            answered.set_exception(error)


async def _disconnected(receive: Receive) -> None:
    """Return when the client has disconnected; the body has been received, so that no other message can come."""
    while (await receive())["type"] != "http.disconnect":
        pass
