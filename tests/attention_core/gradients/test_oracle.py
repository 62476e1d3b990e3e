"""Gradients of every score model, normalizer, setting and layout of heads are those of the oracle's output."""

import zlib

import pytest

from attention_core import NORMALIZERS, SCORE_MODELS
from attention_core.blockwise import blocks
from attention_core.cost import TileSizes
from attention_core.gradients import evaluate
from tests import calls
from tests.attention_core.gradients.judge import assert_gradients

DIFFERENTIABLE = [name for name in NORMALIZERS if name != "hardmax"]
SIZES = [TileSizes(*sizes) for sizes in ((1, 1), (2, 2), (2, 3, 2), (3, 5), (1, 2, 3))]
"""Rows at once, keys at once where masks are looked at, and matrices at once."""

SIXTEENTH = 16
"""One in so many is drawn for every run; the soak has all of them."""


def seed_of(one):
    return zlib.crc32(repr(one).encode())


def judge(chosen, monkeypatch):
    monkeypatch.setattr(blocks, "STEP", 1)
    for one in chosen:
        sizes = SIZES[seed_of(one) // SIXTEENTH % len(SIZES)]
        monkeypatch.setattr(evaluate, "sizes_of", lambda call, sizes=sizes: sizes)
        try:
            assert_gradients(one.request(), seed_of(one))
        except Exception as error:
            raise AssertionError(f"{one} in tiles of {sizes}") from error


def everything(score_model, normalizer):
    kind = (score_model, normalizer, "float64")
    return [one for one in calls.combinations() if (one.score_model, one.normalizer, one.dtype) == kind]


@pytest.mark.parametrize("normalizer", DIFFERENTIABLE)
@pytest.mark.parametrize("score_model", SCORE_MODELS)
def test_gradients_are_slopes_of_the_oracle(score_model, normalizer, monkeypatch):
    chosen = [one for one in everything(score_model, normalizer) if seed_of(one) % SIXTEENTH == 0]
    assert len(chosen) > len(calls.SETTINGS) * len(calls.HEADS) / SIXTEENTH / 2
    judge(chosen, monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("normalizer", DIFFERENTIABLE)
@pytest.mark.parametrize("score_model", SCORE_MODELS)
def test_gradients_of_every_combination_are_slopes_of_the_oracle(score_model, normalizer, monkeypatch):
    chosen = everything(score_model, normalizer)
    assert len(chosen) == len(calls.SETTINGS) * len(calls.HEADS)
    judge(chosen, monkeypatch)
