"""How a call is cut: every row once, the end in smaller pieces, masked tiles in steps, the keys of a block once."""

import threading

import numpy as np
import pytest

from attention_core import Allowed, AttentionCall, Causal, KeyLengths, Window, Workers, resolve
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
    return Block(call, leading, sizes, {})


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


def parts(spans):
    """Rows, keys and what is cut of each span, as numbers."""
    numbers = []
    for rows, keys, cut in spans:
        hidden = None if cut is None else (cut.rows.start, cut.rows.stop, cut.keys.start, cut.keys.stop)
        numbers.append((rows.start, rows.stop, keys.start, keys.stop, hidden))
    return numbers


STEPS = [
    # A tile that all rows see, and one in steps of two keys, each with the rows from its first key on.
    (Causal(), slice(4, 8), [(4, 8, 0, 4, None), (4, 8, 4, 6, (4, 6, 4, 6)), (6, 8, 6, 8, (6, 8, 6, 8))]),
    # The first rows see no more than the first keys.
    (Window(0, 0), slice(0, 4), [(0, 2, 0, 2, (0, 2, 0, 2)), (2, 4, 2, 4, (2, 4, 2, 4))]),
    # Where all rows see the same keys, steps that follow one another are one.
    (KeyLengths(np.array([7])), slice(0, 4), [(0, 4, 0, 4, None), (0, 4, 4, 8, (0, 4, 6, 8))]),
    (Allowed(np.eye(8, dtype=bool)[::-1]), slice(0, 4), [(2, 4, 4, 6, (2, 4, 4, 6)), (0, 2, 6, 8, (0, 2, 6, 8))]),
    (Allowed(np.zeros((8, 8), bool)), slice(0, 4), []),
]


@pytest.mark.parametrize(("mask", "rows", "expected"), STEPS, ids=lambda one: type(one).__name__)
def test_a_tile_that_a_mask_cuts_is_taken_step_by_step(mask, rows, expected, monkeypatch):
    monkeypatch.setattr(blocks, "STEP", 2)
    block = block_of(call_of(8, 8, mask=mask), TileSizes(4, 4))
    assert parts(block.stairs(rows)) == expected


def test_blocks_that_see_the_same_share_their_stairs_and_others_do_not(monkeypatch):
    monkeypatch.setattr(blocks, "STEP", 2)
    rng = np.random.default_rng(1)
    query, key = rng.standard_normal((2, 8, 4)), rng.standard_normal((2, 8, 4))
    for mask, shared in ((Causal(), True), (Causal() & Window(3, 0), True), (KeyLengths(np.array([3, 7])), False)):
        call = resolve(AttentionCall(query=query, key=key, mask=mask, include=("logsumexp",)))
        spans = {}
        first, second = (Block(call, leading, TileSizes(4, 4), spans) for leading in leading_blocks(call, 1))
        assert (first.stairs(slice(4, 8)) is second.stairs(slice(4, 8))) is shared
        assert bool(spans) is shared
