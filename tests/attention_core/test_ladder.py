"""NumPy and every kernel against the oracle, for every combination of models, normalizers, masks and positions."""

import pytest

from attention_core import MASKS, NORMALIZERS, POSITIONS, SCORE_MODELS, memory
from attention_core.dtypes import DTYPES
from tests import calls, oracle, plain
from tests.attention_core.judge import judge
from tests.attention_core.native.kernels import KERNELS
from tests.sampling import product_sample

COMBINATIONS = calls.combinations()


def test_everything_registered_is_on_the_ladder():
    assert set(calls.MODEL_PARAMETERS) == set(calls.HEAD_PARAMETERS) == set(SCORE_MODELS)
    assert set(oracle.SCORE_MODELS) == set(plain.SCORE_MODELS) == set(SCORE_MODELS)
    assert set(calls.NORMALIZER_PARAMETERS) == set(oracle.NORMALIZERS) == set(plain.NORMALIZERS) == set(NORMALIZERS)
    assert set(calls.DTYPES) == set(DTYPES)
    pair = (next(iter(SCORE_MODELS)), next(iter(NORMALIZERS)))
    asked = [calls.Combination(*pair, setting, "heads", "float64").request() for setting in calls.SETTINGS]
    masks = {name for request in asked for name in request.get("mask", {})}
    beside = {"offset", "key_segments", "parameters"}
    assert masks - beside == {"query_segments" if name == "segments" else name for name in MASKS}
    assert any(request.get("score_modifier") for request in asked)
    assert {request["position"]["name"] for request in asked if request.get("position")} == set(POSITIONS)


def test_the_ladder_is_the_whole_product(report_figure):
    registries = (SCORE_MODELS, NORMALIZERS, calls.SETTINGS, calls.HEADS, DTYPES)
    least = 1
    for registry in registries:
        least *= len(registry)
    report_figure(f"oracle → dense, {', '.join(KERNELS)}: {len(COMBINATIONS)} combinations")
    assert len(set(COMBINATIONS)) == len(COMBINATIONS) >= least
    assert len(calls.SETTINGS) > len(MASKS) + len(POSITIONS)
    for score_model in SCORE_MODELS:
        chosen = [one for normalizer in NORMALIZERS for one in calls.quarter(score_model, normalizer)]
        assert {one.dtype for one in chosen} == set(DTYPES)
        assert len(chosen) > len(NORMALIZERS) * len(calls.SETTINGS) * len(calls.HEADS) / 4.2


@pytest.mark.parametrize(("score_model", "normalizer"), product_sample(5, SCORE_MODELS, NORMALIZERS))
def test_every_path_equals_the_oracle_within_the_derived_bound(score_model, normalizer):
    chosen = calls.quarter(score_model, normalizer)
    assert {one.setting for one in chosen} == set(calls.SETTINGS)
    assert {one.heads for one in chosen} == set(calls.HEADS)
    judge(chosen)


@pytest.mark.soak
@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("score_model", SCORE_MODELS)
def test_every_path_equals_the_oracle_in_every_dtype(score_model, normalizer):
    """Half of the combinations: any values of four of the five axes meet."""
    chosen = calls.one_in(2, score_model, normalizer)
    assert 2 * len(chosen) == len(calls.SETTINGS) * len(calls.HEADS) * len(calls.DTYPES)
    assert len({(one.setting, one.heads) for one in chosen}) == len(calls.SETTINGS) * len(calls.HEADS)
    judge(chosen)


BLOCKS = [(1, "float64"), (50, "float32"), (200, "float64")]


def in_blocks(size, dtype):
    """The combinations that blocks of a size are tried with: those of its turn, and the others."""
    chosen = [one for one in COMBINATIONS if one.setting in ("none", "everything") and one.dtype == dtype]
    assert len(chosen) == len(SCORE_MODELS) * len(NORMALIZERS) * len(calls.HEADS) * 2
    turn, models, normalizers = BLOCKS.index((size, dtype)), list(SCORE_MODELS), list(NORMALIZERS)
    parts = [], []
    for one in chosen:
        its_turn = models.index(one.score_model) + normalizers.index(one.normalizer)
        parts[its_turn % len(BLOCKS) != turn].append(one)
    return parts


@pytest.mark.soak
@pytest.mark.parametrize(("size", "dtype"), BLOCKS)
def test_dense_in_blocks_of_queries_equals_the_oracle_too(size, dtype, monkeypatch):
    """A third of the pairs of a score model and a normalizer, others for the next size; every member has each size."""
    monkeypatch.setattr(memory, "MAX_QUERY_BLOCK_NUMBERS", size)
    chosen, _ = in_blocks(size, dtype)
    assert {one.score_model for one in chosen} == set(SCORE_MODELS)
    assert {one.normalizer for one in chosen} == set(NORMALIZERS)
    judge(chosen)


@pytest.mark.soak
@pytest.mark.parametrize(("size", "dtype"), BLOCKS)
def test_dense_in_blocks_of_queries_equals_the_oracle_with_all_other_pairs(size, dtype, monkeypatch):
    monkeypatch.setattr(memory, "MAX_QUERY_BLOCK_NUMBERS", size)
    _, others = in_blocks(size, dtype)
    judge(others)
