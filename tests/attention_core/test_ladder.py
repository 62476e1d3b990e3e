"""The ladder: oracle → dense, over the full product of everything registered."""

import pytest

from attention_core import NORMALIZERS, SCORE_MODELS, dense
from attention_core.dtypes import DTYPES
from tests import calls, oracle, plain
from tests.attention_core.judge import judge

COMBINATIONS = calls.combinations()


def test_everything_registered_is_on_the_ladder() -> None:
    assert set(calls.MODEL_PARAMETERS) == set(oracle.SCORE_MODELS) == set(plain.SCORE_MODELS) == set(SCORE_MODELS)
    assert set(calls.NORMALIZER_PARAMETERS) == set(oracle.NORMALIZERS) == set(NORMALIZERS)
    assert set(calls.DTYPES) == set(DTYPES)
    least = len(SCORE_MODELS) * len(NORMALIZERS) * len(calls.MASKS) * len(calls.SHAPES) * len(DTYPES)
    assert len(COMBINATIONS) == len(set(COMBINATIONS)) >= least
    print(f"\noracle → dense: {len(COMBINATIONS)} combinations")


@pytest.mark.parametrize("score_model", sorted(SCORE_MODELS))
@pytest.mark.parametrize("normalizer", sorted(NORMALIZERS))
def test_dense_equals_the_oracle_within_the_derived_bound(score_model: str, normalizer: str) -> None:
    chosen = [one for one in COMBINATIONS if (one.score_model, one.normalizer) == (score_model, normalizer)]
    judge(chosen)
    assert len(chosen) >= len(calls.MASKS) * len(calls.SHAPES) * len(calls.DTYPES)


@pytest.mark.parametrize("size", [1, 300, 700])
def test_dense_in_blocks_of_queries_equals_the_oracle_too(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "BLOCK_NUMBERS", size)
    chosen = [one for one in COMBINATIONS if one.mask == "everything"]
    judge(chosen)
    assert len(chosen) >= len(SCORE_MODELS) * len(NORMALIZERS) * len(calls.SHAPES)
