"""The tiled path against the dense one, for every combination of registered parts of a call."""

import pytest

from attention_core import NORMALIZERS, SCORE_MODELS
from tests import calls
from tests.attention_core.blockwise.judge import SIZES, judge
from tests.sampling import product_sample


@pytest.mark.parametrize(("score_model", "normalizer"), product_sample(5, SCORE_MODELS, NORMALIZERS))
def test_tiled_equals_dense_within_the_derived_bound(score_model, normalizer):
    chosen = [(one, SIZES[one.seed % len(SIZES)]) for one in calls.quarter(score_model, normalizer)]
    assert {one.setting for one, _ in chosen} == set(calls.SETTINGS)
    assert {one.heads for one, _ in chosen} == set(calls.HEADS)
    assert {sizes for _, sizes in chosen} == set(SIZES)
    judge(chosen)


def two_sizes(one):
    """Two tile sizes for each combination, the same in every run."""
    seed = one.seed
    first, further = seed % len(SIZES), 1 + seed // len(SIZES) % (len(SIZES) - 1)
    return SIZES[first], SIZES[(first + further) % len(SIZES)]


@pytest.mark.soak
@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("score_model", SCORE_MODELS)
def test_a_third_of_the_combinations_at_two_tile_sizes(score_model, normalizer):
    chosen = [(one, sizes) for one in calls.one_in(3, score_model, normalizer) for sizes in two_sizes(one)]
    assert len({(one.dtype, one.heads) for one, _ in chosen}) == len(calls.DTYPES) * len(calls.HEADS)
    assert len({(one.dtype, sizes) for one, sizes in chosen}) == len(calls.DTYPES) * len(SIZES)
    assert len({(one.heads, sizes) for one, sizes in chosen}) == len(calls.HEADS) * len(SIZES)
    judge(chosen)
