"""Where work runs: small requests on the event loop, everything else in the compute threads."""

import threading
import time

import pytest

from attention_core import Workers
from service.admission import INLINE_BYTES, INLINE_OPERATIONS, Deadline, Gate
from service.compute import Body, Reply
from service.errors import DeadlineExceeded
from service.settings import Settings

HERE = threading.main_thread().name


class Recorded:
    """A prepared request that remembers which threads it was handled by."""

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
        await gate.run(Body(b" " * size, "application/json"), prepare, Deadline(time.monotonic() + 10))
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
        with pytest.raises(DeadlineExceeded):
            await gate.run(Body(b" " * (INLINE_BYTES + 1), "application/json"), prepare, Deadline(time.monotonic() - 1))
    finally:
        gate.close()
    assert not started
