"""The ladder's second step: oracle → dense → tiled, over the full product of everything registered."""

import zlib

import pytest

from attention_core import NORMALIZERS, SCORE_MODELS
from attention_core.blockwise import blocks
from tests import calls
from tests.attention_core.blockwise.judge import SIZES, judge

COMBINATIONS = calls.combinations()


def drawn(one):
    """A dtype and a tile size for each of the other coordinates, the same in every run."""
    seed = zlib.crc32(repr((one.score_model, one.normalizer, one.setting, one.heads)).encode())
    return calls.DTYPES[seed % 4], SIZES[seed // 4 % len(SIZES)]


@pytest.fixture(autouse=True)
def _edges_of_one_key(monkeypatch):
    monkeypatch.setattr(blocks, "STEP", 1)


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("score_model", SCORE_MODELS)
def test_tiled_equals_dense_within_the_derived_bound(score_model, normalizer):
    kind = [one for one in COMBINATIONS if (one.score_model, one.normalizer) == (score_model, normalizer)]
    few = [one for one in kind if one.dtype in calls.two_dtypes(score_model, normalizer)]
    chosen = [(one, drawn(one)[1]) for one in few if one.dtype == drawn(one)[0]]
    assert len(chosen) > len(calls.SETTINGS) * len(calls.HEADS) / 3
    assert {one.setting for one, _ in chosen} == set(calls.SETTINGS)
    assert {one.heads for one, _ in chosen} == set(calls.HEADS)
    assert {sizes for _, sizes in chosen} == set(SIZES)
    judge(chosen)


def two_sizes(one):
    """Two tile sizes for each combination, the same in every run."""
    seed = zlib.crc32(repr(one).encode())
    first, further = seed % len(SIZES), 1 + seed // len(SIZES) % (len(SIZES) - 1)
    return SIZES[first], SIZES[(first + further) % len(SIZES)]


@pytest.mark.soak
@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("score_model", SCORE_MODELS)
def test_every_combination_at_two_tile_sizes(score_model, normalizer):
    kind = [one for one in COMBINATIONS if (one.score_model, one.normalizer) == (score_model, normalizer)]
    chosen = [(one, sizes) for one in kind for sizes in two_sizes(one)]
    assert len(set(chosen)) == 2 * len(kind)
    pairs = {(one.dtype, one.heads, sizes) for one, sizes in chosen}
    assert len(pairs) == len(calls.DTYPES) * len(calls.HEADS) * len(SIZES)
    judge(chosen)
