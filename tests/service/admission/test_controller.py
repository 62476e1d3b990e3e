"""Where work runs: small requests on the event loop, everything else in the compute threads."""

import asyncio
import threading
import time
from contextlib import contextmanager

import pytest

from attention_core import Stopped, Workers
from service.admission import AdmissionController, Deadline
from service.admission.admitted_request import INITIAL_WORK_BYTES, MAX_INLINE_BODY_BYTES, MAX_INLINE_OPERATIONS
from service.admission.capacity_limiter import CapacityLimiter
from service.compute import Body, Reply, decoding_bytes
from service.errors import DeadlineExceeded, Disconnected, QueueFull
from service.memories import Memories, MemoryAccess
from service.settings import Settings

HERE = threading.main_thread().name


async def connected():
    """A client that stays and sends nothing more."""
    await asyncio.get_running_loop().create_future()


class Recorded:
    """A prepared request that remembers which threads it was handled by."""

    bytes = 0
    waits = False

    def __init__(self, operations):
        self.operations = operations
        self.prepared_in = threading.current_thread().name
        self.completed_in = None

    def complete(self, run):
        self.completed_in = threading.current_thread().name
        self.run = run
        self.at_work = run.workers._active_threads
        return Reply(b"", "application/json")


async def sent(size, operations, workers):
    """Admit a body of a size and cost; return the prepared request."""
    seen = []

    def prepare(body, settings):
        seen.append(Recorded(operations))
        return seen[0]

    controller = AdmissionController(Settings(), workers, RecordingObserver())
    try:
        request = controller.admit(connected, Deadline(time.monotonic() + 10))
        await request.run(Body(b" " * size, "application/json"), prepare)
    finally:
        controller.close()
    return seen[0]


async def run(size, operations):
    """Return where a body of that size and cost is prepared and completed."""
    recorded = await sent(size, operations, Workers(1))
    return recorded.prepared_in, recorded.completed_in


class Reserving(Recorded):
    """A prepared request that converts a memory, and notes what all requests hold then."""

    bytes = 1000

    def __init__(self, controller, memories, converted):
        super().__init__(MAX_INLINE_OPERATIONS + 1)
        self.controller, self.memories, self.converted = controller, memories, converted

    def complete(self, run):
        if self.converted:
            self.memories.reserve(self.converted)
        self.held = self.controller.reserved_bytes
        return super().complete(run)


@pytest.mark.parametrize("size", [1, MAX_INLINE_BODY_BYTES + 1], ids=["prepared here", "prepared in a thread"])
@pytest.mark.parametrize("converted", [0, 1000, INITIAL_WORK_BYTES, 3 * INITIAL_WORK_BYTES])
async def test_a_request_holds_what_its_work_and_its_memories_take(size, converted):
    """And no less than threads begin with, so that most requests need to ask for nothing."""
    controller = AdmissionController(Settings(), Workers(1), RecordingObserver())
    memories = MemoryAccess(Memories(None, "it is a test"))
    seen = []

    def prepare(body, settings):
        seen.append(Reserving(controller, memories, converted))
        return seen[0]

    body = Body(b" " * size, "application/json", memories=memories)
    try:
        await controller.admit(connected, Deadline(time.monotonic() + 10)).run(body, prepare)
    finally:
        controller.close()
    tensors = decoding_bytes(body, Settings()) // 2 if size > 1 else 0
    assert seen[0].held == max(INITIAL_WORK_BYTES, tensors + Reserving.bytes + converted)


async def test_a_small_request_takes_no_thread_hop():
    assert await run(MAX_INLINE_BODY_BYTES, MAX_INLINE_OPERATIONS) == (HERE, HERE)


async def test_a_costly_request_is_computed_in_a_thread():
    prepared, completed = await run(MAX_INLINE_BODY_BYTES, MAX_INLINE_OPERATIONS + 1)
    assert prepared == HERE
    assert completed.startswith("compute")


async def test_a_large_body_is_not_even_decoded_on_the_event_loop():
    prepared, completed = await run(MAX_INLINE_BODY_BYTES + 1, 1)
    assert prepared.startswith("compute")
    assert completed.startswith("compute")


@pytest.mark.parametrize(
    ("size", "operations"), [(1, 1), (1, MAX_INLINE_OPERATIONS + 1), (MAX_INLINE_BODY_BYTES + 1, 1)]
)
async def test_whatever_is_completed_shares_the_workers_of_the_service(size, operations):
    with Workers(2) as workers:
        recorded = await sent(size, operations, workers)
        assert recorded.run.workers is workers
    assert (recorded.run.should_stop is None) is (recorded.completed_in == HERE)


async def test_a_thread_that_computes_counts_among_those_at_work():
    with Workers(3) as workers:
        recorded = await sent(1, MAX_INLINE_OPERATIONS + 1, workers)
    assert recorded.at_work == 1


async def test_what_has_expired_before_a_thread_is_free_never_starts():
    controller, started = AdmissionController(Settings(compute_threads=1), Workers(1), RecordingObserver()), []

    def prepare(body, settings):
        started.append(body)
        return Recorded(1)

    try:
        request = controller.admit(connected, Deadline(time.monotonic() - 1))
        with pytest.raises(DeadlineExceeded):
            await request.run(Body(b" " * (MAX_INLINE_BODY_BYTES + 1), "application/json"), prepare)
    finally:
        controller.close()
    assert not started


class RecordingObserver:
    """An observer that records the events."""

    def __init__(self):
        self.events = []

    def queued(self):
        self.events.append("queued")

    def started(self, waited_seconds):
        self.events.append("started")
        assert waited_seconds >= 0

    def abandoned(self):
        self.events.append("abandoned")

    def finished(self):
        self.events.append("finished")

    def rejected(self, reason):
        self.events.append(reason)


class Held:
    """Work that goes on until it is released, or stopped."""

    operations = MAX_INLINE_OPERATIONS + 1
    waits = False

    def __init__(self, size=0):
        self.bytes = size
        self.begun, self.let_go, self.stopped = threading.Event(), threading.Event(), threading.Event()

    def complete(self, run):
        self.begun.set()
        while not self.let_go.wait(0.005):
            if run.should_stop():
                self.stopped.set()
                raise Stopped("stopped")
        return Reply(b"done", "application/json")


class Client:
    """A client that waits for an answer, and may disconnect."""

    def __init__(self, controller, work, seconds=10.0):
        self._gone = asyncio.Event()
        self.request = controller.admit(self._receive, Deadline(time.monotonic() + seconds))
        self.answer = asyncio.ensure_future(self._run(work))

    async def _run(self, work):
        async with self.request:
            return await self.request.run(Body(b""), lambda body, settings: work)

    async def _receive(self):
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def disconnects(self):
        self._gone.set()
        with pytest.raises(Disconnected):
            await self.answer


@contextmanager
def narrow_controller(queue_size):
    """A controller with one thread, and its observer."""
    observer, workers = RecordingObserver(), Workers(1)
    controller = AdmissionController(Settings(compute_threads=1, queue_size=queue_size), workers, observer)
    try:
        yield controller, observer
    finally:
        controller.close()


async def settled(controller):
    """Wait until nothing computes and nothing waits."""
    until = time.monotonic() + 5
    while (controller.computing, controller.waiting, controller.reserved_bytes) != (0, 0, 0):
        assert time.monotonic() < until, (controller.computing, controller.waiting, controller.reserved_bytes)
        await asyncio.sleep(0.005)


async def test_the_queue_holds_exactly_its_size_in_order():
    with narrow_controller(2) as (controller, observer):
        works = [Held() for _ in range(4)]
        clients = [Client(controller, work) for work in works]
        with pytest.raises(QueueFull):
            await clients[3].answer
        assert (controller.computing, controller.waiting) == (1, 2)
        for index in range(3):
            await asyncio.to_thread(works[index].begun.wait, 5)
            assert not any(work.begun.is_set() for work in works[index + 1 :])
            works[index].let_go.set()
            assert (await clients[index].answer).content == b"done"
        await settled(controller)
    assert not works[3].begun.is_set()
    count = {event: observer.events.count(event) for event in observer.events}
    assert count == {"queued": 3, "started": 3, "finished": 3, "queue-full": 1}


async def test_a_disconnect_while_computing_ends_the_work_and_frees_the_thread():
    with narrow_controller(1) as (controller, observer):
        work, next_work = Held(), Held()
        client, next_client = Client(controller, work), Client(controller, next_work)
        await asyncio.to_thread(work.begun.wait, 5)
        await client.disconnects()
        assert await asyncio.to_thread(work.stopped.wait, 5)
        next_work.let_go.set()
        assert (await next_client.answer).content == b"done"
        await settled(controller)
    assert observer.events.count("disconnected") == 1


async def test_a_disconnect_in_the_queue_frees_its_place_and_nothing_starts():
    with narrow_controller(1) as (controller, observer):
        work, waiting = Held(), Held()
        client, waiting_client = Client(controller, work), Client(controller, waiting)
        await asyncio.to_thread(work.begun.wait, 5)
        await waiting_client.disconnects()
        await asyncio.sleep(0)
        assert (controller.computing, controller.waiting) == (1, 0)
        work.let_go.set()
        assert (await client.answer).content == b"done"
        await settled(controller)
    assert not waiting.begun.is_set()
    assert observer.events == ["queued", "started", "queued", "abandoned", "disconnected", "finished"]


async def test_a_slot_granted_to_a_cancelled_request_is_handed_over():
    """The thread becomes free, and before the next request runs, its client disconnects."""
    with narrow_controller(2) as (controller, _):
        works = [Held() for _ in range(3)]
        clients = [Client(controller, work) for work in works]
        await asyncio.to_thread(works[0].begun.wait, 5)
        clients[1].answer.cancel()
        works[0].let_go.set()
        works[2].let_go.set()
        assert (await clients[2].answer).content == b"done"
        await settled(controller)
    assert not works[1].begun.is_set()


async def test_a_deadline_that_passes_while_computing_ends_the_work():
    with narrow_controller(0) as (controller, observer):
        # The work may begin late, on a machine that has other things to do.
        for seconds in (0.3, 3, 30):
            work = Held()
            with pytest.raises(DeadlineExceeded):
                await Client(controller, work, seconds).answer
            if work.begun.is_set():
                break
            observer.events.clear()
        assert await asyncio.to_thread(work.stopped.wait, 30)
        await settled(controller)
    assert observer.events.count("deadline-exceeded") == 1


async def test_a_slot_granted_just_before_a_cancellation_is_handed_over():
    """The slot is given to a request that is cancelled before it runs again."""
    limiter = CapacityLimiter(1, 2, RecordingObserver())
    await limiter.acquire()
    second, third = asyncio.ensure_future(limiter.acquire()), asyncio.ensure_future(limiter.acquire())
    await asyncio.sleep(0)
    limiter.release()
    second.cancel()
    await asyncio.wait_for(third, 5)
    assert (limiter.in_use, limiter.waiting) == (1, 0)
