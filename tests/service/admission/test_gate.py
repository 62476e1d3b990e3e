"""Where work runs: small requests on the event loop, everything else in the compute threads."""

import asyncio
import threading
import time
from contextlib import contextmanager

import pytest

from attention_core import Stopped, Workers
from service.admission import INLINE_BYTES, INLINE_OPERATIONS, Deadline, Gate
from service.admission.observer import Unobserved
from service.admission.turns import Turns
from service.compute import Body, Reply
from service.errors import DeadlineExceeded, Disconnected, QueueFull
from service.settings import Settings

HERE = threading.main_thread().name


async def connected():
    """A client that stays and sends nothing more."""
    await asyncio.get_running_loop().create_future()


class Recorded:
    """A prepared request that remembers which threads it was handled by."""

    bytes = 0

    def __init__(self, operations):
        self.operations = operations
        self.prepared_in = threading.current_thread().name
        self.completed_in = None

    def complete(self, run):
        self.completed_in = threading.current_thread().name
        self.run = run
        self.at_work = run.workers._at_work
        return Reply(b"", "application/json")


async def sent(size, operations, workers):
    """Send a body of that size and cost through a gate; return what became of it."""
    seen = []

    def prepare(body, settings):
        seen.append(Recorded(operations))
        return seen[0]

    gate = Gate(Settings(), workers)
    try:
        visit = gate.visit(connected, Deadline(time.monotonic() + 10))
        await visit.run(Body(b" " * size, "application/json"), prepare)
    finally:
        gate.close()
    return seen[0]


async def run(size, operations):
    """Return where a body of that size and cost is prepared and completed."""
    recorded = await sent(size, operations, Workers(1))
    return recorded.prepared_in, recorded.completed_in


async def test_a_small_request_takes_no_thread_hop():
    assert await run(INLINE_BYTES, INLINE_OPERATIONS) == (HERE, HERE)


async def test_a_costly_request_is_computed_in_a_thread():
    prepared, completed = await run(INLINE_BYTES, INLINE_OPERATIONS + 1)
    assert prepared == HERE
    assert completed.startswith("compute")


async def test_a_large_body_is_not_even_decoded_on_the_event_loop():
    prepared, completed = await run(INLINE_BYTES + 1, 1)
    assert prepared.startswith("compute")
    assert completed.startswith("compute")


@pytest.mark.parametrize(("size", "operations"), [(1, 1), (1, INLINE_OPERATIONS + 1), (INLINE_BYTES + 1, 1)])
async def test_whatever_is_completed_shares_the_workers_of_the_service(size, operations):
    with Workers(2) as workers:
        recorded = await sent(size, operations, workers)
        assert recorded.run.workers is workers
    assert (recorded.run.should_stop is None) is (recorded.completed_in == HERE)


async def test_a_thread_that_computes_counts_among_those_at_work():
    with Workers(3) as workers:
        recorded = await sent(1, INLINE_OPERATIONS + 1, workers)
    assert recorded.at_work == 1


async def test_what_has_expired_before_a_thread_is_free_never_starts():
    gate, started = Gate(Settings(compute_threads=1), Workers(1)), []

    def prepare(body, settings):
        started.append(body)
        return Recorded(1)

    try:
        visit = gate.visit(connected, Deadline(time.monotonic() - 1))
        with pytest.raises(DeadlineExceeded):
            await visit.run(Body(b" " * (INLINE_BYTES + 1), "application/json"), prepare)
    finally:
        gate.close()
    assert not started


class Told:
    """An observer that writes down what it hears."""

    def __init__(self):
        self.heard = []

    def queued(self):
        self.heard.append("queued")

    def started(self, waited):
        self.heard.append("started")
        assert waited >= 0

    def left(self):
        self.heard.append("left")

    def finished(self):
        self.heard.append("finished")

    def rejected(self, reason):
        self.heard.append(reason)


class Held:
    """Work that goes on until it is let go, or told to stop."""

    operations = INLINE_OPERATIONS + 1

    def __init__(self, size=0):
        self.bytes = size
        self.begun, self.let_go, self.stopped = threading.Event(), threading.Event(), threading.Event()

    def complete(self, run):
        self.begun.set()
        while not self.let_go.wait(0.005):
            if run.should_stop():
                self.stopped.set()
                raise Stopped("told to")
        return Reply(b"done", "application/json")


class Client:
    """Somebody who waits for an answer, and may go away."""

    def __init__(self, gate, work, seconds=10.0):
        self._gone = asyncio.Event()
        self.visit = gate.visit(self._receive, Deadline(time.monotonic() + seconds))
        self.answer = asyncio.ensure_future(self._visit(work))

    async def _visit(self, work):
        try:
            return await self.visit.run(Body(b""), lambda body, settings: work)
        finally:
            self.visit.leave()

    async def _receive(self):
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def goes_away(self):
        self._gone.set()
        with pytest.raises(Disconnected):
            await self.answer


@contextmanager
def narrow_gate(queue_size):
    """A gate with one thread, and what an observer hears of it."""
    told, workers = Told(), Workers(1)
    gate = Gate(Settings(compute_threads=1, queue_size=queue_size), workers, told)
    try:
        yield gate, told
    finally:
        gate.close()


async def settled(gate):
    """Wait until nothing computes and nothing waits."""
    until = time.monotonic() + 5
    while (gate.computing, gate.waiting, gate.held) != (0, 0, 0):
        assert time.monotonic() < until, (gate.computing, gate.waiting, gate.held)
        await asyncio.sleep(0.005)


async def test_exactly_so_many_wait_as_may_and_in_order():
    with narrow_gate(2) as (gate, told):
        works = [Held() for _ in range(4)]
        clients = [Client(gate, work) for work in works]
        with pytest.raises(QueueFull):
            await clients[3].answer
        assert (gate.computing, gate.waiting) == (1, 2)
        for index in range(3):
            await asyncio.to_thread(works[index].begun.wait, 5)
            assert not any(work.begun.is_set() for work in works[index + 1 :])
            works[index].let_go.set()
            assert (await clients[index].answer).content == b"done"
        await settled(gate)
    assert not works[3].begun.is_set()
    count = {event: told.heard.count(event) for event in told.heard}
    assert count == {"queued": 3, "started": 3, "finished": 3, "queue-full": 1}


async def test_who_goes_away_while_computing_ends_the_work_and_frees_the_thread():
    with narrow_gate(1) as (gate, told):
        work, next_work = Held(), Held()
        client, next_client = Client(gate, work), Client(gate, next_work)
        await asyncio.to_thread(work.begun.wait, 5)
        await client.goes_away()
        assert await asyncio.to_thread(work.stopped.wait, 5)
        next_work.let_go.set()
        assert (await next_client.answer).content == b"done"
        await settled(gate)
    assert told.heard.count("disconnected") == 1


async def test_who_goes_away_while_waiting_leaves_the_line_and_never_starts():
    with narrow_gate(1) as (gate, told):
        work, waiting = Held(), Held()
        client, waiting_client = Client(gate, work), Client(gate, waiting)
        await asyncio.to_thread(work.begun.wait, 5)
        await waiting_client.goes_away()
        await asyncio.sleep(0)
        assert (gate.computing, gate.waiting) == (1, 0)
        work.let_go.set()
        assert (await client.answer).content == b"done"
        await settled(gate)
    assert not waiting.begun.is_set()
    assert told.heard == ["queued", "started", "queued", "disconnected", "left", "finished"]


async def test_a_turn_given_to_somebody_who_has_just_left_is_passed_on():
    """The thread becomes free, and before the one whose turn it is hears of it, its client is gone."""
    with narrow_gate(2) as (gate, _):
        works = [Held() for _ in range(3)]
        clients = [Client(gate, work) for work in works]
        await asyncio.to_thread(works[0].begun.wait, 5)
        clients[1].answer.cancel()
        works[0].let_go.set()
        works[2].let_go.set()
        assert (await clients[2].answer).content == b"done"
        await settled(gate)
    assert not works[1].begun.is_set()


async def test_a_deadline_that_passes_while_computing_ends_the_work():
    with narrow_gate(0) as (gate, told):
        work = Held()
        with pytest.raises(DeadlineExceeded):
            await Client(gate, work, seconds=0.5).answer
        assert await asyncio.to_thread(work.stopped.wait, 5)
        await settled(gate)
    assert told.heard.count("deadline-exceeded") == 1


async def test_a_turn_that_comes_just_too_late_is_passed_on():
    """It is given to somebody who is cancelled before they hear of it."""
    turns = Turns(1, 2, Unobserved())
    await turns.take()
    second, third = asyncio.ensure_future(turns.take()), asyncio.ensure_future(turns.take())
    await asyncio.sleep(0)
    turns.leave()
    second.cancel()
    await asyncio.wait_for(third, 5)
    assert (turns.taken, turns.waiting) == (1, 0)
