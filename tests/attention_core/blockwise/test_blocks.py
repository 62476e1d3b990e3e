"""How a call is cut: every row once, the end in smaller pieces, and the keys of a block made once for all its rows."""

import threading

import numpy as np
import pytest

from attention_core import AttentionCall, Causal, Workers, resolve
from attention_core.blockwise import blocks
from attention_core.blockwise.blocks import Block, leading_blocks, row_slices, tile_count
from attention_core.cost import TileSizes
from tests.attention_core.blockwise.judge import tiled

PATIENCE_SECONDS = 30


def call_of(queries, keys, leading=(), mask=None):
    """Return a call of ones, with nothing asked back but the output."""
    query, key = np.ones((*leading, queries, 4)), np.ones((*leading, keys, 4))
    return resolve(AttentionCall(query, key, key, mask=mask, include=("output",)))


@pytest.mark.parametrize("mask", [None, Causal()], ids=["plain", "causal"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("size", [1, 128, 256, 512])
@pytest.mark.parametrize("queries", [0, 1, 255, 256, 257, 1024, 1300])
def test_every_row_is_in_one_slice(queries, size, last, mask):
    slices = row_slices(call_of(queries, 1, mask=mask), size, last=last)
    assert [row for rows in slices[::-1] for row in range(rows.start, rows.stop)] == list(range(queries))
    assert all(0 < rows.stop - rows.start <= size for rows in slices)


def test_the_last_two_tiles_of_a_call_are_halved():
    call = call_of(2048, 1)
    whole, halved = (row_slices(call, 512, last=last) for last in (False, True))
    assert [rows.stop - rows.start for rows in whole] == [512] * 4
    assert [rows.stop - rows.start for rows in halved] == [512] * 2 + [256] * 4
    assert row_slices(call_of(2048, 1, mask=Causal()), 512, last=True) == whole


@pytest.mark.parametrize("leading", [(), (3,), (2, 3), (0, 2)])
@pytest.mark.parametrize("mask", [None, Causal()], ids=["plain", "causal"])
def test_as_many_tiles_are_told_of_as_there_are(leading, mask):
    call, sizes, told = call_of(1000, 700, leading, mask), TileSizes(256, 300, 2), []
    tiled(call, sizes, progress=lambda *one: told.append(one))
    total = tile_count(call, sizes)
    assert told == [(done, total) for done in range(1, total + 1)]


def two_at_once(work):
    """Let two threads begin at the same time; return what became of each."""
    met, outcomes = threading.Barrier(2), []

    def run():
        met.wait(PATIENCE_SECONDS)
        try:
            outcomes.append(work())
        except MemoryError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    return outcomes


def block_of(call, sizes):
    [leading] = leading_blocks(call, sizes.matrices)
    return Block(call, leading, sizes)


def test_threads_that_begin_together_make_the_keys_once(monkeypatch):
    made, both = [], threading.Event()
    original = Block._keep

    def keep(self, whole):
        made.append((whole.start, threading.get_ident()))
        if len(made) == 2:
            both.set()
        # The first waits until the other thread has found it at work, and has begun with other keys.
        both.wait(PATIENCE_SECONDS)
        return original(self, whole)

    monkeypatch.setattr(Block, "_keep", keep)
    call = call_of(8, 900)
    block = block_of(call, TileSizes(8, 300))
    spans = block.visible(slice(0, 8))
    outcomes = two_at_once(lambda: block.met(spans))
    assert sorted(start for start, _ in made) == [0, 300, 600]
    assert len({thread for _, thread in made}) == 2
    for met in outcomes:
        assert [columns.span for columns in met] == spans
    assert all(one.values is other.values for one, other in zip(*outcomes, strict=True))


def test_keys_that_cannot_be_made_are_waited_for_by_nobody(monkeypatch):
    def keep(self, whole):
        raise MemoryError

    monkeypatch.setattr(Block, "_keep", keep)
    call, sizes = call_of(2000, 900), TileSizes(256, 300)
    block = block_of(call, sizes)
    outcomes = two_at_once(lambda: block.met(block.visible(slice(0, 8))))
    assert [type(outcome) for outcome in outcomes] == [MemoryError] * 2
    with Workers(3) as workers, pytest.raises(MemoryError):
        tiled(call, sizes, workers)


def test_keys_that_are_too_many_to_keep_are_made_when_their_turn_comes(monkeypatch):
    monkeypatch.setattr(blocks, "KEPT_KEYS", 100)
    block = block_of(call_of(8, 900), TileSizes(8, 300))
    met = iter(block.met(block.visible(slice(0, 8))))
    monkeypatch.setattr(Block, "_make", lambda self, span, side: span.keys)
    assert [next(met), next(met)] == [slice(0, 300), slice(300, 600)]
