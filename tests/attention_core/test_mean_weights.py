"""Weights averaged over the query heads: those of the oracle, with all matrices in memory and with some at a time."""

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest

from attention_core import (
    NORMALIZERS,
    SCORE_MODELS,
    Additive,
    Allowed,
    AttentionCall,
    Causal,
    Heads,
    InvalidValue,
    KeyLengths,
    Proportional,
    ScaledDotProduct,
    Softmax,
    Stopped,
    Workers,
    attend,
    evaluate,
    predict,
    resolve,
    tile_sizes,
)
from attention_core.execution_path import averages_in_blocks
from attention_core.native import using_kernel
from tests import bounds, calls, core_calls, oracle, plain
from tests.attention_core.native.kernels import KERNELS, assert_same_bits, run
from tests.sampling import every, product_sample

HEADS = ("heads", "grouped", "one key head", "packed", "grouped cache", "shared keys")
"""Those of `calls.HEADS` with scores of rank 4."""


@pytest.mark.parametrize(("score_model", "normalizer"), product_sample(4, SCORE_MODELS, NORMALIZERS))
def test_every_path_equals_the_oracle(score_model, normalizer):
    settings, turn = list(calls.SETTINGS), list(SCORE_MODELS).index(score_model) + list(NORMALIZERS).index(normalizer)
    for place, heads in enumerate(HEADS[turn % 2 :: 2]):
        setting, dtype = settings[(turn + 5 * place) % len(settings)], calls.DTYPES[(turn + place) % len(calls.DTYPES)]
        request = calls.Combination(score_model, normalizer, setting, heads, dtype).request()
        right, simple = np.array(oracle.attention(request)["mean_weights"]), plain.attention(request)["mean_weights"]
        call = resolve(core_calls.core_call(request, include=("mean_weights", "output")))
        for kernel in ("numpy", *KERNELS):
            with using_kernel(kernel):
                received = evaluate(call).mean_weights
            case = (kernel, heads, setting, dtype)
            assert received.shape == right.shape, case
            # The plain weights of a few numbers may be right by luck: two more roundings, of a sum and of a quotient.
            limit = bounds.bound(right, simple, dtype) + 4 * np.finfo(plain.COMPUTE[dtype]).eps * np.abs(right).max()
            assert np.abs(received.astype(float) - right).max() <= limit, case


def long_call(**changes):
    """A call with six matrices of 40 × 50 for each of two batch rows, some rows of which see nothing, or NaN."""
    rng = np.random.default_rng(1)
    query, key, value = (rng.normal(size=size) for size in ((2, 6, 40, 8), (2, 3, 50, 8), (2, 3, 50, 5)))
    key[1, 2, 7], query[0, 1, 3] = np.nan, np.inf
    allowed = rng.random((6, 40, 50)) < 0.7
    allowed[2, 11] = False
    mask = Causal() & Allowed(allowed) & KeyLengths(np.array([50, 31]))
    made = {"query": query, "key": key, "value": value, "mask": mask, "offset": np.array([3, -4])}
    return made | {"normalizer": Softmax(sink=np.arange(6.0)), **changes}


CALLS = {
    "softmax with sinks": {},
    "float32": {"dtype": "float32", "score_model": ScaledDotProduct(scale=np.linspace(0.1, 1, 6))},
    "float16": {"dtype": "float16", "normalizer": None},
    "additive": {"score_model": Additive(*(np.ones((4, 8)), np.ones((6, 4, 8)), np.ones(4)))},
    "entmax": {"normalizer": NORMALIZERS["entmax"]()},
    "none": {"normalizer": NORMALIZERS["none"]()},
    "values of their own": {"value": np.random.default_rng(2).normal(size=(3, 1, 1, 50, 5))},
    "by length": {"layout": "bshd", "mask": Causal(), **{name: np.random.default_rng(3).normal(size=size) for name, size
                  in (("query", (2, 40, 6, 8)), ("key", (2, 50, 3, 8)), ("value", (2, 50, 3, 5)))}},
}  # fmt: skip


@pytest.mark.parametrize("matrices", [1, 4, 7])
@pytest.mark.parametrize("kernel", every(2, (*KERNELS, "numpy")))
@pytest.mark.parametrize("name", CALLS)
def test_blocks_of_matrices_change_no_bit(monkeypatch, name, kernel, matrices):
    include = ("mean_weights", "output", *(("logsumexp",) if CALLS[name].get("normalizer", 0) in (0, None) else ()))
    made = long_call(**CALLS[name])
    whole = run(kernel, **made, include=include)
    with monkeypatch.context() as patch:
        patch.setattr(tile_sizes, "MAX_BLOCK_WEIGHTS", matrices * 40 * 50)
        reported = []
        with Workers(2) as workers:
            blocks = run(kernel, **made, include=include, workers=workers, progress=lambda *at: reported.append(at))
    assert blocks.notes == whole.notes
    for field in include:
        assert_same_bits(blocks.arrays[field], whole.arrays[field], (name, field))
    assert len(reported) > 1
    assert reported == [(done + 1, len(reported)) for done in range(len(reported))]


def test_the_mean_is_that_of_the_weights_and_empty_rows_count_as_zeros():
    result = attend(**long_call(), include=("weights", "mean_weights"))
    rows = ~np.isnan(result.weights).any(axis=(1, 3))
    assert 40 < rows.sum() < 80
    np.testing.assert_allclose(result.mean_weights[rows], result.weights.mean(axis=1)[rows], atol=1e-16)
    assert np.isnan(result.mean_weights[~rows]).any(axis=-1).all()
    assert not result.mean_weights[1, 0].any()
    assert result.weights[0, 2, 11].sum() == 0 < result.mean_weights[0, 11].sum()
    packed = attend(np.ones((1, 3, 4)), np.ones((1, 5, 2)), heads=Heads(4, 2), include=("mean_weights",))
    np.testing.assert_allclose(packed.mean_weights, np.full((1, 3, 5), 0.2))


def test_nothing_to_average_is_zeros():
    for query, key in (((2, 0, 3, 4), (2, 0, 5, 4)), ((0, 2, 3, 4), (0, 2, 5, 4)), ((2, 2, 3, 4), (2, 2, 0, 4))):
        mean = attend(np.ones(query), np.ones(key), include=("mean_weights",)).mean_weights
        assert mean.shape == (query[0], 3, key[2])
        assert not mean.any()


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (2, 2, 2, 3, 4)])
def test_without_an_axis_of_heads_there_is_no_mean(shape):
    with pytest.raises(InvalidValue) as caught:
        attend(np.ones(shape), np.ones(shape), include=("weights", "mean_weights"))
    assert caught.value.path == ("include", 1)
    assert f"scores of rank {len(shape)}" in str(caught.value)


def test_a_refused_logit_is_named_in_the_whole_call(monkeypatch):
    key = np.ones((1, 4, 3, 2))
    key[0, 2, 1] = -1
    monkeypatch.setattr(tile_sizes, "MAX_BLOCK_WEIGHTS", 9)
    for fields in (("mean_weights",), ("weights",)):
        with pytest.raises(InvalidValue, match=r"row \[0, 2, 0\], key 1"):
            attend(np.ones((1, 4, 3, 2)), key, normalizer=Proportional(), include=fields)


def test_a_call_in_blocks_can_be_stopped(monkeypatch):
    monkeypatch.setattr(tile_sizes, "MAX_BLOCK_WEIGHTS", 2000)
    asked = []
    with pytest.raises(Stopped):
        attend(**long_call(), include=("mean_weights",), should_stop=lambda: bool(asked.append(1)) or len(asked) > 3)
    assert len(asked) == 4


@dataclass(frozen=True)
class Sized:
    """A call for its memory."""

    heads: int
    include: tuple
    layout: str = "bhsd"
    dtype: str = "float32"

    def resolved(self):
        length, features = 768, 16
        shape = (1, self.heads, length, features) if self.layout == "bhsd" else (1, length, self.heads, features)
        vectors = np.ones(shape, np.float32)
        return resolve(
            AttentionCall(vectors, vectors, vectors, include=self.include, layout=self.layout, dtype=self.dtype)
        )


@pytest.mark.parametrize("kernel", ["numpy", KERNELS[0]])
@pytest.mark.parametrize(
    ("sized", "in_blocks"),
    [
        (Sized(12, ("mean_weights", "output")), True),
        (Sized(12, ("mean_weights", "output"), "bshd", "bfloat16"), True),
        (Sized(3, ("mean_weights", "scores")), False),
    ],
)
def test_a_mean_holds_no_more_than_predicted_and_not_all_heads(kernel, sized, in_blocks):
    call = sized.resolved()
    assert averages_in_blocks(call) == in_blocks
    with using_kernel(kernel):
        evaluate(call)
        tracemalloc.start()
        try:
            evaluate(call)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    cost = predict(call)
    assert peak <= cost.bytes
    assert cost.path == "dense"
    if in_blocks:
        assert cost.bytes < np.prod(call.score_shape) * 4
