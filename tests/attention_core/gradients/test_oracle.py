"""Gradients of every score model, normalizer, setting and layout of heads are those of the oracle's output."""

import pytest

from attention_core import NORMALIZERS, SCORE_MODELS
from attention_core.gradients import evaluate
from attention_core.tile_sizes import TileSizes
from tests import calls
from tests.attention_core.gradients.judge import assert_gradients
from tests.sampling import product_sample

DIFFERENTIABLE = [name for name in NORMALIZERS if name != "hardmax"]
SIZES = [TileSizes(*sizes) for sizes in ((1, 1), (2, 2), (2, 3, 2), (3, 5), (1, 2, 3))]
"""Rows, keys and matrices of the tiles of the backward pass."""

SAMPLED_ONE_IN = 32
"""Every run tries one combination of this number, others for the next pair; the soak has all of them."""


def judge(chosen, monkeypatch):
    for one in chosen:
        sizes = SIZES[one.seed // SAMPLED_ONE_IN % len(SIZES)]
        monkeypatch.setattr(evaluate, "choose_backward_tile_sizes", lambda call, sizes=sizes: sizes)
        try:
            assert_gradients(one.request(), one.seed)
        except Exception as error:
            raise AssertionError(f"{one} in tiles of {sizes}") from error


def everything(score_model, normalizer):
    kind = (score_model, normalizer, "float64")
    return [one for one in calls.combinations() if (one.score_model, one.normalizer, one.dtype) == kind]


@pytest.mark.parametrize(("score_model", "normalizer"), product_sample(5, SCORE_MODELS, DIFFERENTIABLE))
def test_gradients_are_slopes_of_the_oracle(score_model, normalizer, monkeypatch):
    first = list(SCORE_MODELS).index(score_model) + list(NORMALIZERS).index(normalizer)
    chosen = everything(score_model, normalizer)[first % SAMPLED_ONE_IN :: SAMPLED_ONE_IN]
    judge(chosen, monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("normalizer", DIFFERENTIABLE)
@pytest.mark.parametrize("score_model", SCORE_MODELS)
def test_gradients_of_every_combination_are_slopes_of_the_oracle(score_model, normalizer, monkeypatch):
    chosen = everything(score_model, normalizer)
    assert len(chosen) == len(calls.SETTINGS) * len(calls.HEADS)
    judge(chosen, monkeypatch)
