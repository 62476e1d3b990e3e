"""The account of bytes: never over its limit, never stuck, and empty when everybody has left."""

import asyncio
import time

import pytest

from attention_core import Workers
from service.admission import INLINE_BYTES, Deadline, Gate
from service.admission.memory import BODIES_SHARE, PATIENCE_SECONDS, Lease, Memory
from service.compute import Body, Reply
from service.errors import NoRoom, TooLarge
from service.settings import Settings

LIMIT = 1000
SHARE = LIMIT // BODIES_SHARE


async def started(coroutine):
    """Begin something that waits."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


def computing(memory, body=0):
    """A request that has its turn and holds a body."""
    lease = Lease()
    memory.begin(lease)
    if body:
        memory.extend_body(lease, body)
    return lease


async def test_bodies_wait_for_their_share_in_order():
    memory, leases = Memory(LIMIT), [Lease() for _ in range(3)]
    await memory.announce_body(leases[0], SHARE)
    second = await started(memory.announce_body(leases[1], SHARE))
    third = await started(memory.announce_body(leases[2], 1))
    assert memory.held == SHARE
    assert not second.done()
    assert not third.done(), "a small body overtook a large one"
    memory.leave(leases[0])
    await second
    assert memory.held == SHARE
    assert not third.done()
    memory.leave(leases[1])
    await third
    memory.leave(leases[2])
    assert memory.held == 0


async def test_a_body_larger_than_the_share_is_let_in_alone():
    memory, lease = Memory(LIMIT), Lease()
    await memory.announce_body(lease, LIMIT)
    assert memory.held == LIMIT
    with pytest.raises(TooLarge, match=f"at most {LIMIT} bytes; received a body of {LIMIT + 1}"):
        await memory.announce_body(Lease(), LIMIT + 1)


async def test_a_body_for_which_no_room_is_made_is_refused_in_time(monkeypatch):
    monkeypatch.setattr("service.admission.memory.PATIENCE_SECONDS", 0.02)
    memory, first = Memory(LIMIT), Lease()
    await memory.announce_body(first, SHARE)
    begun, late = time.monotonic(), Lease()
    with pytest.raises(NoRoom, match=rf"at most {LIMIT} bytes; received one that needs 1 while {SHARE} are held"):
        await memory.announce_body(late, 1)
    assert time.monotonic() - begun < PATIENCE_SECONDS
    memory.leave(first)
    assert memory.held == 0
    await memory.announce_body(late, 1)


async def test_a_body_of_unknown_length_does_not_wait():
    memory, lease = Memory(LIMIT), Lease()
    memory.extend_body(lease, SHARE)
    with pytest.raises(NoRoom):
        memory.extend_body(lease, 1)
    assert memory.held == SHARE


async def test_who_computes_waits_for_who_computes():
    memory = Memory(LIMIT)
    first, second = computing(memory), computing(memory)
    await memory.hold_work(first, 600)
    waiting = await started(memory.hold_work(second, 600))
    body = await started(memory.announce_body(Lease(), 10))
    assert not waiting.done()
    assert not body.done(), "a body took room from those who compute"
    memory.end(first, 0)
    await waiting
    await body
    assert memory.held == 610


async def test_when_all_who_compute_wait_the_last_is_turned_away():
    memory = Memory(LIMIT)
    leases = [computing(memory) for _ in range(3)]
    for lease in leases:
        await memory.hold_work(lease, 300)
    waits = [await started(memory.hold_work(lease, 400)) for lease in leases]
    await asyncio.sleep(0)
    with pytest.raises(NoRoom):
        await asyncio.wait_for(waits[2], 5)
    assert not waits[0].done()
    memory.end(leases[2], 0)
    await waits[0]
    assert not waits[1].done()
    memory.end(leases[0], 0)
    await waits[1]
    memory.end(leases[1], 0)
    assert memory.held == 0


async def test_what_could_never_be_held_is_too_large():
    memory = Memory(LIMIT)
    with pytest.raises(TooLarge, match=f"at most {LIMIT} bytes; received a request that needs about {LIMIT + 1}"):
        await memory.hold_work(computing(memory, body=100), LIMIT - 99)


async def test_who_gives_up_leaves_the_line_and_frees_what_a_thread_holds_only_when_that_ends():
    memory = Memory(LIMIT)
    first, second = computing(memory), computing(memory)
    await memory.hold_work(first, 900)
    await memory.hold_work(second, 50)
    waiting = await started(memory.hold_work(second, 100))
    memory.leave(second)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert memory.held == 950
    memory.end(second, 30)
    assert memory.held == 900


async def test_an_answer_is_all_that_is_kept():
    memory = Memory(LIMIT)
    lease = computing(memory, body=100)
    await memory.hold_work(lease, 500)
    memory.end(lease, 30)
    assert memory.held == 30
    memory.leave(lease)
    assert memory.held == 0


class Costly:
    """A prepared request that holds much while it computes."""

    operations = 1

    def __init__(self, size):
        self.bytes = size

    def complete(self, run):
        time.sleep(0.02)
        return Reply(b"x" * 100, "application/json")


MIB = 1 << 20


async def asked(gate, size, body):
    """Return the answer to a request that holds so many bytes, and what is held until it is sent."""

    async def receive():
        if body:
            return {"type": "http.request", "body": body, "more_body": False}
        await asyncio.get_running_loop().create_future()
        return {}

    visit = gate.visit(receive, Deadline(time.monotonic() + 20))
    try:
        content = await visit.read(str(len(body)), MIB)

        async def silent():
            await asyncio.get_running_loop().create_future()
            return {}

        visit._receive = silent
        return await visit.run(Body(content), lambda body, settings: Costly(size))
    finally:
        visit.leave()


@pytest.mark.parametrize("size", [10, 40])
async def test_requests_that_do_not_fit_side_by_side_follow_each_other(size):
    workers = Workers(3)
    gate = Gate(Settings(compute_threads=3, bytes_in_flight=64 * MIB), workers)
    try:
        body = b" " * (INLINE_BYTES + 1)
        replies = await asyncio.gather(*(asked(gate, size * MIB, body) for _ in range(12)), return_exceptions=True)
        refused = [reply for reply in replies if isinstance(reply, NoRoom)]
        # Nobody holds enough to keep all of the others from going on.
        assert not refused
        assert all(isinstance(reply, Reply) for reply in replies)
        assert (gate.computing, gate.waiting, gate.held) == (0, 0, 0)
    finally:
        gate.close()
        workers.close()
