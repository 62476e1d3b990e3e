"""The gate that everything that computes passes: bounded threads and queue, a deadline, an end when nobody waits.

A small request is decoded, computed and encoded right here, on the event loop: a few microseconds of work are not
worth a hop to a thread.  Everything else, decoding included, runs in a compute thread, of which there are as many as
the settings say; as many requests again as `queue_size` may wait for one.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from attention_core import Stopped, Workers
from service.admission.deadline import Deadline
from service.admission.observer import Observer, Unobserved
from service.admission.reading import Receive
from service.admission.turns import Turns
from service.compute import Body, Prepare, Prepared, Reply, Run
from service.errors import DeadlineExceeded, Disconnected, QueueFull
from service.settings import Settings

INLINE_BYTES = 8 * 1024
"""A body up to this size is decoded on the event loop: some tens of microseconds."""

INLINE_OPERATIONS = 2_000_000
"""A call up to this cost is computed on the event loop: some tens of microseconds more."""

INLINE_OPERATIONS_COMPRESSED = INLINE_OPERATIONS // 8
"""Likewise where the answer may be compressed: it has some tens of kilobytes then, and that takes as long again."""

Work = Callable[[Run], Reply]


class Gate:
    """Admits work, one per process; what it admits may share `workers`."""

    def __init__(self, settings: Settings, workers: Workers, observer: Observer | None = None) -> None:
        self._settings = settings
        self._workers = workers
        self._observer = observer or Unobserved()
        self._threads = ThreadPoolExecutor(settings.compute_threads, thread_name_prefix="compute")
        self._turns = Turns(settings.compute_threads, settings.queue_size, self._observer)

    @property
    def computing(self) -> int:
        """How many requests have a thread."""
        return self._turns.taken

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return self._turns.waiting

    async def run(self, body: Body, prepare: Prepare, deadline: Deadline, receive: Receive) -> Reply:
        """Return the answer to one request whose body has been received.

        Raises QueueFull at once when too many wait, DeadlineExceeded when the answer is late, Disconnected when the
        client is gone, and whatever `prepare` and `complete` raise.
        """
        if len(body.content) > INLINE_BYTES or body.encoding is not None:
            return await self._in_thread(lambda run: prepare(body, self._settings).complete(run), deadline, receive)
        prepared: Prepared = prepare(body, self._settings)
        plain = body.wanted_encoding.name is None
        if prepared.operations > (INLINE_OPERATIONS if plain else INLINE_OPERATIONS_COMPRESSED):
            return await self._in_thread(prepared.complete, deadline, receive)
        return prepared.complete(Run(self._workers))

    async def _in_thread(self, work: Work, deadline: Deadline, receive: Receive) -> Reply:
        """Return the answer, and count why there is none."""
        try:
            return await self._in_time(work, deadline, receive)
        except Stopped:
            self._observer.rejected("deadline-exceeded")
            raise DeadlineExceeded(
                "expected an answer before the deadline; received more work than that time allows. Send less at once, "
                f"or allow more time: Request-Timeout up to {self._settings.deadline_seconds:g} seconds."
            ) from None
        except QueueFull:
            self._observer.rejected("queue-full")
            raise
        except Disconnected:
            self._observer.rejected("disconnected")
            raise

    async def _in_time(self, work: Work, deadline: Deadline, receive: Receive) -> Reply:
        """Return what comes first: the answer, or Stopped at the deadline, or Disconnected."""
        computing = asyncio.ensure_future(self._take_turn(work, deadline))
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((computing, gone), timeout=deadline.remaining, return_when=asyncio.FIRST_COMPLETED)
            if computing.done():
                return computing.result()
            if gone.done():
                raise Disconnected("the client went away before its answer was ready")
            raise Stopped("the deadline has passed")
        finally:
            computing.cancel()
            gone.cancel()

    async def _take_turn(self, work: Work, deadline: Deadline) -> Reply:
        """Compute when it is this request's turn; cancelled, work that has begun ends at its next tile."""
        await self._turns.take()
        abandoned = threading.Event()

        def should_stop() -> bool:
            return abandoned.is_set() or deadline.passed()

        def start() -> Reply:
            if should_stop():
                raise Stopped("expired while waiting")
            # Whatever it computes, no helper of another request is to take the same core.
            with self._workers.occupied():
                return work(Run(self._workers, should_stop))

        future = asyncio.get_running_loop().run_in_executor(self._threads, start)
        # Only when the thread is free again is the turn over, whoever has stopped waiting for it.
        future.add_done_callback(self._end_turn)
        try:
            return await asyncio.shield(future)
        finally:
            abandoned.set()

    def _end_turn(self, future: "asyncio.Future[Reply]") -> None:
        self._turns.leave()
        if not future.cancelled():
            # A late failure has nobody left to hear it; asking for it keeps asyncio from reporting it as forgotten.
            future.exception()

    def close(self) -> None:
        """Let running work end and take no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


async def _disconnected(receive: Receive) -> None:
    """Return when the client has gone; its body has been received, so nothing else can come."""
    while (await receive())["type"] != "http.disconnect":
        pass
