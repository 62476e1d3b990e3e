"""Reading a body: at once when it is there, in time when it is not, and never left hanging."""

import asyncio

import pytest

from service.admission.request_body import read_body
from service.errors import BodyTimeout, Disconnected, TooLarge


def arriving(*chunks, waits=0.0, ended=None):
    """A receive that hands over chunks, waiting before each; `ended` is set when one of its waits is cut short."""
    left = list(chunks)

    async def receive():
        try:
            if waits:
                await asyncio.sleep(waits)
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            if ended is not None:
                ended.set()
            raise
        if not left:
            return {"type": "http.disconnect"}
        chunk = left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    return receive


async def test_a_body_that_is_there_needs_no_timer(monkeypatch):
    monkeypatch.setattr(
        "service.admission.timed_receive.asyncio.timeout", lambda seconds: pytest.fail("a timer was set")
    )
    assert await read_body(arriving(b"all"), 10, 5) == b"all"
    assert await read_body(arriving(b"a", b"", b"ll"), 10, 5) == b"all"


async def test_a_body_that_comes_later_is_read_whole():
    assert await read_body(arriving(b"a", b"l", b"l", waits=0.01), 10, 5) == b"all"


async def test_a_body_that_does_not_come_is_given_up_and_its_wait_ended():
    ended = asyncio.Event()
    with pytest.raises(BodyTimeout):
        await read_body(arriving(b"a", waits=30, ended=ended), 10, 0.05)
    assert ended.is_set()


async def test_the_time_is_that_of_all_chunks_together():
    with pytest.raises(BodyTimeout):
        await read_body(arriving(*[b"a"] * 100, waits=0.02), 1000, 0.2)


async def test_cancelling_the_reader_cancels_the_wait():
    ended = asyncio.Event()
    reading = asyncio.create_task(read_body(arriving(b"a", waits=30, ended=ended), 10, 60))
    for _ in range(20):
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert ended.is_set()


async def test_a_client_that_goes_away_is_noticed():
    with pytest.raises(Disconnected):
        await read_body(arriving(waits=0.01), 10, 5)


@pytest.mark.parametrize("waits", [0, 0.005])
async def test_a_body_over_the_limit_is_refused_while_it_arrives(waits):
    with pytest.raises(TooLarge):
        await read_body(arriving(b"12345", b"6789", waits=waits), 8, 5)
    with pytest.raises(TooLarge):
        await read_body(arriving(b"123456789", waits=waits), 8, 5)
    assert await read_body(arriving(b"12345", b"678", waits=waits), 8, 5) == b"12345678"


@pytest.mark.parametrize("chunks", [(b"123", b"", b"45"), (b"12345",)])
async def test_a_chunk_is_reported_before_it_is_kept(chunks):
    sizes = []
    assert await read_body(arriving(*chunks), 8, 5, b"--", sizes.append) == b"--12345"
    assert sizes == ([3, 3, 5] if len(chunks) > 1 else [])
