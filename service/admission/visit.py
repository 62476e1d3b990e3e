"""One request at the gate, from its head to the last byte of its answer."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass

from attention_core import Stopped, Workers
from service.admission.deadline import Deadline
from service.admission.follow import Follower
from service.admission.memory import Lease, Memory
from service.admission.observer import Observer
from service.admission.reading import Receive, read_body, too_large
from service.admission.turns import Turns
from service.codecs.json.native import count
from service.compute import Body, Meter, Prepare, Prepared, Reply, Run
from service.errors import DeadlineExceeded, Disconnected, NoRoom, QueueFull
from service.settings import Settings

INLINE_BYTES = 8 * 1024
"""A body up to this size is decoded on the event loop: some tens of microseconds."""

INLINE_OPERATIONS = 2_000_000
"""A call up to this cost is computed on the event loop: some tens of microseconds more."""

INLINE_OPERATIONS_COMPRESSED = INLINE_OPERATIONS // 8
"""Likewise where the answer may be compressed: it has some tens of kilobytes then, and that takes as long again."""

INLINE_HELD = 1 << 20
"""A call that holds more than this takes long to write, however little there is to compute."""

SPARE = 1 << 22
"""So much is set aside for a request when it has its turn; most never ask for more."""

COPIES = 2
"""A body is decoded beside itself, at most into numbers twice as wide."""

BYTES_PER_COMMA = 16
"""In JSON a number may be two characters long, and is held as a float64 and once more in the type of the call."""

Preparation = Callable[[], tuple[Prepared, int]]
"""Prepares a request in its thread, and says how many bytes its tensors hold."""


@dataclass(frozen=True, slots=True)
class Premises:
    """What all visits of one process share."""

    settings: Settings
    workers: Workers
    observer: Observer
    threads: ThreadPoolExecutor
    turns: Turns
    memory: Memory
    meter: Meter | None


class Visit:
    """Reads a body and computes its answer.  Whoever makes a visit must `leave`, once the answer is sent or refused."""

    __slots__ = ("_deadline", "_lease", "_loop", "_place", "_receive")

    def __init__(self, place: Premises, receive: Receive, deadline: Deadline) -> None:
        self._place, self._receive, self._deadline = place, receive, deadline
        self._lease: Lease | None = None

    async def read(self, content_length: bytes | str | None, limit: int, lead: bytes = b"") -> bytes:
        """Return the body, for which there is room before it is read; `lead` is put in front.

        Raises TooLarge, QueueFull, NoRoom, BodyTimeout, or Disconnected.
        """
        seconds = self._place.settings.body_timeout_seconds
        announced = 0 if content_length is None else int(content_length)
        if announced > limit:
            raise too_large(announced, limit)
        if announced <= INLINE_BYTES:
            return await read_body(self._receive, limit, seconds, lead, self._extend)
        try:
            # It will need a thread: better to hear that there is none before it is sent.
            self._place.turns.require_room()
            await self._place.memory.announce_body(self._leased(), announced)
        except QueueFull:
            self._place.observer.rejected("queue-full")
            raise
        except NoRoom:
            self._place.observer.rejected("bytes-in-flight")
            raise
        return await read_body(self._receive, limit, seconds, lead)

    async def run(self, body: Body, prepare: Prepare, follower: Follower | None = None) -> Reply:
        """Return the answer to a body that has been read; whoever follows it has it computed in a thread.

        Raises QueueFull at once when too many wait, NoRoom when others hold what it needs, DeadlineExceeded when the
        answer is late, Disconnected when the client is gone, and whatever `prepare` and `complete` raise.
        """
        place = self._place
        if len(body.content) > INLINE_BYTES or body.encoding is not None or follower is not None:
            return await self._in_thread(lambda: self._prepared(body, prepare), follower)
        prepared: Prepared = prepare(body, place.settings)
        plain = body.wanted_encoding.name is None
        most = INLINE_OPERATIONS if plain else INLINE_OPERATIONS_COMPRESSED
        if prepared.operations > most or prepared.bytes > INLINE_HELD:
            return await self._in_thread(lambda: (prepared, 0), None)
        return prepared.complete(Run(place.workers, meter=place.meter))

    def leave(self) -> None:
        """Hold nothing any more, as soon as no thread works on it."""
        if self._lease is not None:
            self._place.memory.leave(self._lease)

    def _leased(self) -> Lease:
        if self._lease is None:
            self._lease = Lease()
        return self._lease

    def _extend(self, size: int) -> None:
        """Reserve more of a body of unknown length, ever larger steps at a time."""
        if size <= INLINE_BYTES:
            return
        lease = self._leased()
        if size > lease.body:
            try:
                self._place.memory.extend_body(lease, max(size, 2 * lease.body) - lease.body)
            except NoRoom:
                self._place.observer.rejected("bytes-in-flight")
                raise

    def _prepared(self, body: Body, prepare: Prepare) -> tuple[Prepared, int]:
        """Prepare a request in a thread; return it and how many bytes its tensors hold."""
        settings, lease = self._place.settings, self._leased()
        size = len(body.content)
        if body.encoding is None:
            decoding = COPIES * size + BYTES_PER_COMMA * count(body.content, b",")
        else:
            # What is in it is known only when it is there: at most this, in pieces and then whole.
            decoding = (COPIES + 1) * min(settings.max_body_bytes, size * settings.max_decompression_ratio)
        # However much it might be at worst, alone it is always let in: the limits on bodies bound it as well.
        self._hold(min(decoding, self._place.memory.limit - lease.body))
        return prepare(body, settings), decoding // 2

    def _hold(self, size: int) -> None:
        """Wait in a thread until so many bytes are this request's, beside its body."""
        lease, memory = self._leased(), self._place.memory
        if size > lease.work:
            granted: Future[None] = asyncio.run_coroutine_threadsafe(
                memory.hold_work(lease, size - lease.work), self._loop
            )
            try:
                granted.result()
            except CancelledError:
                raise Stopped("given up while waiting for room") from None

    async def _in_thread(self, prepare: Preparation, follower: Follower | None) -> Reply:
        """Return the answer, and count why there is none."""
        place = self._place
        try:
            return await self._in_time(prepare, follower)
        except Stopped:
            place.observer.rejected("deadline-exceeded")
            raise DeadlineExceeded(
                "expected an answer before the deadline; received more work than that time allows. Send less at once, "
                f"or allow more time: Request-Timeout up to {place.settings.deadline_seconds:g} seconds."
            ) from None
        except QueueFull:
            place.observer.rejected("queue-full")
            raise
        except NoRoom:
            place.observer.rejected("bytes-in-flight")
            raise
        except Disconnected:
            place.observer.rejected("disconnected")
            raise

    async def _in_time(self, prepare: Preparation, follower: Follower | None) -> Reply:
        """Return what comes first: the answer, or Stopped at the deadline, or Disconnected."""
        computing = asyncio.ensure_future(self._take_turn(prepare, follower))
        gone = asyncio.ensure_future(_disconnected(self._receive))
        try:
            await asyncio.wait((computing, gone), timeout=self._deadline.remaining, return_when=asyncio.FIRST_COMPLETED)
            if computing.done():
                return computing.result()
            if gone.done():
                raise Disconnected("the client went away before its answer was ready")
            raise Stopped("the deadline has passed")
        finally:
            computing.cancel()
            gone.cancel()

    async def _take_turn(self, prepare: Preparation, follower: Follower | None) -> Reply:
        """Compute when it is this request's turn; cancelled, work that has begun ends at its next tile."""
        place, lease = self._place, self._leased()
        await place.turns.take()
        place.memory.begin(lease)
        place.memory.try_work(lease, SPARE)
        abandoned = threading.Event()
        self._loop = asyncio.get_running_loop()

        def should_stop() -> bool:
            return abandoned.is_set() or self._deadline.passed()

        def start() -> Reply:
            if should_stop():
                raise Stopped("expired while waiting")
            # Whatever it computes, no helper of another request is to take the same core.
            with place.workers.occupied():
                prepared, held = prepare()
                self._hold(held + prepared.bytes)
                if follower is None:
                    return prepared.complete(Run(place.workers, should_stop, meter=place.meter))
                follower.begin()
                return prepared.complete(Run(place.workers, should_stop, follower.tell, place.meter))

        future = self._loop.run_in_executor(place.threads, start)
        # Only when the thread is free again is the turn over, whoever has stopped waiting for it.
        future.add_done_callback(self._end_turn)
        try:
            return await asyncio.shield(future)
        finally:
            abandoned.set()

    def _end_turn(self, future: "asyncio.Future[Reply]") -> None:
        # A late failure has nobody left to hear it; asking for it keeps asyncio from reporting it as forgotten.
        failed = future.cancelled() or future.exception() is not None
        self._place.memory.end(self._leased(), 0 if failed else len(future.result().content))
        self._place.turns.leave()


async def _disconnected(receive: Receive) -> None:
    """Return when the client has gone; its body has been received, so nothing else can come."""
    while (await receive())["type"] != "http.disconnect":
        pass
