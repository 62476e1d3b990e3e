"""The tiled path equals the dense one on random calls: grouped heads, every mask, NaN and infinities anywhere."""

import numpy as np
import pytest

from attention_core import (
    Additive,
    Alibi,
    All,
    Allowed,
    AttentionCall,
    Bilinear,
    Causal,
    Cosine,
    DotProduct,
    Entmax,
    Gaussian,
    Hardmax,
    Identity,
    InvalidValue,
    KeyLengths,
    Laplacian,
    Proportional,
    Relu,
    Rotary,
    ScaledDotProduct,
    Segments,
    Sigmoid,
    Softmax,
    Sparsemax,
    Trilinear,
    Window,
    Workers,
    resolve,
)
from attention_core.dense import evaluate_dense
from attention_core.tile_sizes import TileSizes
from tests.attention_core.blockwise.judge import ONE_THREAD, tiled
from tests.sampling import every

D = 4
NON_FINITE = (np.nan, np.inf, -np.inf)
NORMALIZERS = (
    Softmax(), Softmax(sink=0.3), Softmax(temperature=0.5), Softmax(sink=100.0), Proportional(), Sparsemax(), Entmax(),
    Sigmoid(bias=-1.0), Relu(), Hardmax(), Identity(),
)  # fmt: skip
LIFT = 60.0
"""Makes a negative logit rare, so that proportional is refused now and then only."""


def score_models(rng, heads):
    """One of each, some with parameters per head."""
    draw = rng.standard_normal
    return (
        ScaledDotProduct(), ScaledDotProduct(scale=draw(heads)), DotProduct(), Cosine(), Gaussian(), Laplacian(),
        Additive(draw((3, D)), draw((heads, 3, D)), draw(3)), Bilinear(draw((heads, D, D))), Trilinear(draw(3 * D)),
    )  # fmt: skip


def masks(rng, batch, queries, keys):
    """Any number of masks, all of them at times."""
    lengths = rng.integers(0, keys + 1, batch)
    segments = (np.sort(rng.integers(0, 4, (batch, length))) for length in (queries, keys))
    every = (
        Causal(),
        Window(int(rng.integers(20)), None if rng.random() < 0.5 else int(rng.integers(9))),
        KeyLengths(lengths),
        Segments(*segments),
        Allowed(rng.random((queries, keys)) < 0.7),
    )
    chosen = tuple(mask for mask in every if rng.random() < 0.35)
    return (All(chosen) if chosen else None), lengths


def drawn(rng):
    """A call, and the sizes of its tiles."""
    group, key_heads, batch = (int(rng.integers(1, 4)) for _ in range(3))
    queries, keys, heads = int(rng.integers(40)), int(rng.integers(60)), group * key_heads
    normalizer = (*NORMALIZERS, Softmax(sink=rng.standard_normal(heads)))[rng.integers(len(NORMALIZERS) + 1)]
    mask, lengths = masks(rng, batch, queries, keys)
    bias = None
    if rng.random() < 0.3:
        bias = rng.standard_normal((heads, queries, keys))
        bias = np.where(rng.random(bias.shape) < 0.2, -np.inf, bias)
    if isinstance(normalizer, Proportional):
        bias = np.full((1, 1, 1), LIFT) if bias is None else bias + LIFT
    call = AttentionCall(
        query=rng.standard_normal((batch, heads, queries, D)),
        key=rng.standard_normal((batch, key_heads, keys, D)),
        value=rng.standard_normal((batch, key_heads, keys, int(rng.integers(4)))),
        score_model=score_models(rng, heads)[rng.integers(9)],
        normalizer=normalizer,
        softcap=2.0 if rng.random() < 0.3 else None,
        mask=mask,
        offset=[None, "bottom_right", int(rng.integers(-5, 10)), rng.integers(-5, 10, batch)][rng.integers(4)],
        bias=bias,
        position=[None, None, Alibi(), Rotary()][rng.integers(4)],
        include=("output", "logsumexp") if isinstance(normalizer, Softmax) else ("output",),
    )
    poison(rng, call, lengths)
    return call, TileSizes(*(int(rng.integers(1, most)) for most in (20, 30, 5)))


def poison(rng, call, lengths):
    """Put NaN and ±∞ anywhere, often in keys that no query may see."""
    # Where a weight is 0 but for rounding, as at the edge of entmax's support, infinity times it is anybody's guess.
    in_values = NON_FINITE[:1] if isinstance(call.normalizer, Entmax) else NON_FINITE
    for _ in range(int(rng.integers(4))):
        vectors = (call.query, call.key, call.value)[rng.integers(3)]
        if vectors.size:
            place = tuple(int(rng.integers(size)) for size in vectors.shape)
            vectors[place] = rng.choice(in_values if vectors is call.value else NON_FINITE)
    if rng.random() < 0.3:
        for row, length in enumerate(lengths):
            call.key[row, :, length:], call.value[row, :, length:] = rng.choice(NON_FINITE), rng.choice(in_values)


def outcome(evaluate):
    """Fields and largest logits, or the refusal."""
    with np.errstate(all="ignore"):
        try:
            return evaluate()
        except InvalidValue as error:
            return str(error)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("seed", every(6, range(20)))
def test_the_tiled_path_equals_the_dense_one_on_random_calls(seed):
    rng = np.random.default_rng(seed)
    refused = 0
    with Workers(3) as workers:
        for _ in range(40):
            sent, sizes = drawn(rng)
            call = resolve(sent)
            expected = outcome(lambda call=call: evaluate_dense(call, None, None))
            threads = workers if rng.random() < 0.5 else ONE_THREAD
            received = outcome(lambda call=call, sizes=sizes, threads=threads: tiled(call, sizes, threads))
            if isinstance(expected, str):
                refused += 1
                assert isinstance(received, str)
                continue
            assert set(received[0]) == set(expected[0])
            for name, array in expected[0].items():
                np.testing.assert_allclose(received[0][name], array, rtol=1e-9, atol=1e-11, err_msg=f"{name} {sent}")
            for kind in (np.isfinite, np.isneginf, np.isnan):
                np.testing.assert_array_equal(kind(received[1]), kind(expected[1]))
    assert refused < 15


@pytest.mark.parametrize("sizes", [TileSizes(1, 1), TileSizes(2, 3), TileSizes(9, 9)])
def test_a_negative_logit_is_named_by_its_place_in_the_whole(sizes):
    query = np.ones((2, 3, 4, 1))
    key = np.ones((2, 3, 5, 1))
    key[1, 2, 3] = -7
    call = resolve(
        AttentionCall(
            query=query, key=key, value=key, score_model=DotProduct(), normalizer=Proportional(), include=("output",)
        )
    )
    with pytest.raises(InvalidValue, match=r"received -7.0 in row \[1, 2, \d\], key 3"):
        tiled(call, sizes)
