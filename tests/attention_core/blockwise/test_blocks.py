"""Division of a call into tiles: every row and every matrix once, and every tile reported."""

from itertools import product

import numpy as np
import pytest

from attention_core import AttentionCall, Causal, resolve
from attention_core.blockwise.blocks import count_tiles, leading_blocks, split_last_first
from attention_core.tile_sizes import TileSizes
from tests.attention_core.blockwise.judge import tiled


def call_of(queries, keys, leading=(), mask=None):
    """Return a call of ones, with nothing asked back but the output."""
    query, key = np.ones((*leading, queries, 4)), np.ones((*leading, keys, 4))
    return resolve(AttentionCall(query, key, key, mask=mask, include=("output",)))


@pytest.mark.parametrize("size", [1, 128, 256])
@pytest.mark.parametrize("queries", [0, 1, 255, 256, 257, 1300])
def test_every_row_is_in_one_slice(queries, size):
    slices = split_last_first(slice(0, queries), size)
    assert [row for rows in slices[::-1] for row in range(rows.start, rows.stop)] == list(range(queries))
    assert all(0 < rows.stop - rows.start <= size for rows in slices)


@pytest.mark.parametrize("matrices", [1, 2, 4, 100])
@pytest.mark.parametrize("leading", [(), (3,), (2, 6), (2, 3, 5), (0, 2)])
def test_every_matrix_is_in_one_block(leading, matrices):
    seen = []
    for block in leading_blocks(call_of(2, 3, leading), matrices):
        own = list(product(*(range(one.start, one.stop) for one in block.leading)))
        assert len(own) == np.prod(block.call.score_shape[:-2]) <= matrices
        seen += own
    assert sorted(seen) == list(np.ndindex(*leading))


def test_the_heads_of_a_block_share_a_key_and_value_head():
    query, key = np.ones((2, 12, 3, 4)), np.ones((2, 3, 5, 4))
    call = resolve(AttentionCall(query, key, key, include=("output",)))
    for matrices, heads in ((1, 1), (2, 2), (3, 2), (4, 4), (24, 4)):
        for block in leading_blocks(call, matrices):
            assert block.leading[1].stop - block.leading[1].start == heads
            assert block.leading[1].start // 4 == (block.leading[1].stop - 1) // 4
            assert block.call.key.shape[1] == 1


@pytest.mark.parametrize(("leading", "blocks"), [((), 1), ((3,), 2), ((2, 3), 4), ((0, 2), 0)])
@pytest.mark.parametrize("mask", [None, Causal()], ids=["plain", "causal"])
def test_progress_reports_every_tile(leading, blocks, mask):
    call, sizes, told = call_of(1000, 700, leading, mask), TileSizes(256, 300, 2), []
    tiled(call, sizes, progress=lambda *one: told.append(one))
    total = count_tiles(call, sizes)
    assert total == blocks * 4 * 3
    assert told == [(done, total) for done in range(1, total + 1)]
