"""The memory budget: never exceeded, never stuck, and empty when every request is over."""

import asyncio
import time

import pytest

from attention_core import Workers
from service.admission import AdmissionController, Deadline
from service.admission.admitted_request import MAX_INLINE_BODY_BYTES
from service.admission.memory_budget import BODY_BYTES_DIVISOR, MemoryBudget, Reservation
from service.compute import Body, Reply
from service.errors import NoRoom, TooLarge
from service.settings import Settings
from service.telemetry.metrics import Metrics, MetricStore

LIMIT = 1000
SHARE = LIMIT // BODY_BYTES_DIVISOR


async def started(coroutine):
    """Start a coroutine that waits."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


def computing(memory, body=0):
    """A request that has a thread and holds a body."""
    reservation = Reservation()
    memory.start_computing(reservation)
    if body:
        memory.extend_body(reservation, body)
    return reservation


async def test_bodies_wait_for_their_share_in_order():
    memory, reservations = MemoryBudget(LIMIT), [Reservation() for _ in range(3)]
    await memory.reserve_body(reservations[0], SHARE)
    second = await started(memory.reserve_body(reservations[1], SHARE))
    third = await started(memory.reserve_body(reservations[2], 1))
    assert memory.reserved_bytes == SHARE
    assert not second.done()
    assert not third.done(), "a small body overtook a large one"
    memory.release(reservations[0])
    await second
    assert memory.reserved_bytes == SHARE
    assert not third.done()
    memory.release(reservations[1])
    await third
    memory.release(reservations[2])
    assert memory.reserved_bytes == 0


async def test_a_body_larger_than_the_share_is_let_in_alone():
    memory, reservation = MemoryBudget(LIMIT), Reservation()
    await memory.reserve_body(reservation, LIMIT)
    assert memory.reserved_bytes == LIMIT
    with pytest.raises(TooLarge, match=f"at most {LIMIT} bytes; received a body of {LIMIT + 1}"):
        await memory.reserve_body(Reservation(), LIMIT + 1)


async def test_a_body_for_which_no_room_is_made_is_refused_in_time(monkeypatch):
    monkeypatch.setattr("service.admission.memory_budget.MAX_BODY_WAIT_SECONDS", 0.02)
    memory, first = MemoryBudget(LIMIT), Reservation()
    await memory.reserve_body(first, SHARE)
    late = Reservation()
    async with asyncio.timeout(30):
        with pytest.raises(NoRoom, match=rf"at most {LIMIT} bytes; received one that needs 1 while {SHARE} are held"):
            await memory.reserve_body(late, 1)
    memory.release(first)
    assert memory.reserved_bytes == 0
    await memory.reserve_body(late, 1)


async def test_a_body_of_unknown_length_does_not_wait():
    memory, reservation = MemoryBudget(LIMIT), Reservation()
    memory.extend_body(reservation, SHARE)
    with pytest.raises(NoRoom):
        memory.extend_body(reservation, 1)
    assert memory.reserved_bytes == SHARE


async def test_computing_requests_wait_for_computing_requests():
    memory = MemoryBudget(LIMIT)
    first, second = computing(memory), computing(memory)
    await memory.reserve_work(first, 600)
    waiting = await started(memory.reserve_work(second, 600))
    body = await started(memory.reserve_body(Reservation(), 10))
    assert not waiting.done()
    assert not body.done(), "a body took memory from computing requests"
    memory.finish_computing(first, 0)
    await waiting
    await body
    assert memory.reserved_bytes == 610


async def test_when_all_computing_requests_wait_the_newest_wait_fails():
    memory = MemoryBudget(LIMIT)
    reservations = [computing(memory) for _ in range(3)]
    for reservation in reservations:
        await memory.reserve_work(reservation, 300)
    waits = [await started(memory.reserve_work(reservation, 400)) for reservation in reservations]
    await asyncio.sleep(0)
    with pytest.raises(NoRoom):
        await asyncio.wait_for(waits[2], 5)
    assert not waits[0].done()
    memory.finish_computing(reservations[2], 0)
    await waits[0]
    assert not waits[1].done()
    memory.finish_computing(reservations[0], 0)
    await waits[1]
    memory.finish_computing(reservations[1], 0)
    assert memory.reserved_bytes == 0


async def test_what_could_never_be_held_is_too_large():
    memory = MemoryBudget(LIMIT)
    with pytest.raises(TooLarge, match=f"at most {LIMIT} bytes; received a request that needs about {LIMIT + 1}"):
        await memory.reserve_work(computing(memory, body=100), LIMIT - 99)


async def test_an_abandoned_request_stops_waiting_and_frees_its_bytes_when_its_thread_ends():
    memory = MemoryBudget(LIMIT)
    first, second = computing(memory), computing(memory)
    await memory.reserve_work(first, 900)
    await memory.reserve_work(second, 50)
    waiting = await started(memory.reserve_work(second, 100))
    memory.release(second)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert memory.reserved_bytes == 950
    memory.finish_computing(second, 30)
    assert memory.reserved_bytes == 900


async def test_an_answer_is_all_that_is_kept():
    memory = MemoryBudget(LIMIT)
    reservation = computing(memory, body=100)
    await memory.reserve_work(reservation, 500)
    memory.finish_computing(reservation, 30)
    assert memory.reserved_bytes == 30
    memory.release(reservation)
    assert memory.reserved_bytes == 0


class Costly:
    """A prepared request that holds much while it computes."""

    operations = 1

    def __init__(self, size):
        self.bytes = size

    def complete(self, run):
        time.sleep(0.02)
        return Reply(b"x" * 100, "application/json")


MIB = 1 << 20


async def asked(controller, size, body):
    """Return the answer to a request that holds `size` bytes while it computes."""

    async def receive():
        if body:
            return {"type": "http.request", "body": body, "more_body": False}
        await asyncio.get_running_loop().create_future()
        return {}

    async with controller.admit(receive, Deadline(time.monotonic() + 20)) as request:
        content = await request.read(b"%d" % len(body), MIB)

        async def silent():
            await asyncio.get_running_loop().create_future()
            return {}

        request._receive = silent
        return await request.run(Body(content), lambda body, settings: Costly(size))


@pytest.mark.parametrize("size", [10, 40])
async def test_requests_that_do_not_fit_side_by_side_follow_each_other(size):
    workers = Workers(3)
    controller = AdmissionController(
        Settings(compute_threads=3, bytes_in_flight=64 * MIB), workers, Metrics(MetricStore())
    )
    try:
        body = b" " * (MAX_INLINE_BODY_BYTES + 1)
        replies = await asyncio.gather(
            *(asked(controller, size * MIB, body) for _ in range(12)), return_exceptions=True
        )
        refused = [reply for reply in replies if isinstance(reply, NoRoom)]
        # No request holds enough to block all of the others.
        assert not refused
        assert all(isinstance(reply, Reply) for reply in replies)
        assert (controller.computing, controller.waiting, controller.reserved_bytes) == (0, 0, 0)
    finally:
        controller.close()
        workers.close()
