"""Hidden keys and values do not change a query's result by a bit: every path, normalizer and kind of mask.

NaN or an infinity is put in a key, and another in a value.  Rows that see neither must come out as from the same call
with ordinary numbers there; rows that see one must not.
"""

import functools
import warnings

import numpy as np
import pytest

from attention_core import (
    Alibi,
    Allowed,
    AttentionCall,
    Causal,
    DotProduct,
    Entmax,
    Hardmax,
    Identity,
    KeyLengths,
    Proportional,
    Relu,
    Rotary,
    Segments,
    Sigmoid,
    Softmax,
    Sparsemax,
    Window,
    Workers,
    attend,
    resolve,
)
from attention_core.blockwise import evaluate_tiled
from attention_core.dense import evaluate_dense
from attention_core.tile_sizes import TileSizes
from tests.sampling import product_sample

BATCH, HEADS, QUERIES, KEYS, FEATURES = 2, 2, 6, 9, 4
OFFSET = 1
SHAPE = (BATCH, HEADS, QUERIES, KEYS)
NON_FINITE = (np.nan, np.inf, -np.inf)
NORMALIZERS = {
    "softmax": Softmax(), "softmax, sink": Softmax(sink=0.5, temperature=0.7), "proportional": Proportional(),
    "sparsemax": Sparsemax(), "entmax": Entmax(), "entmax, bisected": Entmax(1.25), "sigmoid": Sigmoid(-1.0),
    "relu": Relu(), "hardmax": Hardmax(), "none": Identity(),
}  # fmt: skip
LENGTHS = np.array([4, 7])
QUERY_SEGMENTS, KEY_SEGMENTS = np.array([0, 0, 1, 1, 2, 3]), np.array([0, 0, 0, 1, 1, 2, 2, 2, 4])
SOME = np.random.default_rng(11).random((HEADS, QUERIES, KEYS)) < 0.6
PLACES, POSITIONS = np.arange(KEYS), np.arange(QUERIES)[:, None] + OFFSET
KINDS = {
    "causal": (Causal(), PLACES <= POSITIONS),
    "window": (Window(2, 1), (PLACES >= POSITIONS - 2) & (PLACES <= POSITIONS + 1)),
    "key lengths": (KeyLengths(LENGTHS), LENGTHS[:, None, None, None] > PLACES),
    "segments": (Segments(QUERY_SEGMENTS, KEY_SEGMENTS), QUERY_SEGMENTS[:, None] == KEY_SEGMENTS),
    "allowed": (Allowed(SOME), SOME),
    "bias": (None, SOME),
    "bias, causal": (Causal(), SOME & (PLACES <= POSITIONS)),
}
"""The mask, and the visible pairs; where bias is named it is −∞ where SOME is false."""

STEPS = {"plain": {}, "softcap": {"softcap": 3.0}, "alibi": {"position": Alibi()}, "rotary": {"position": Rotary()}}
LIFT = 60.0
"""Makes every logit positive, for proportions."""


def call(normalizer, kind, step, key, value):
    bias = np.zeros(SHAPE[1:])
    if "bias" in kind:
        bias[~SOME] = -np.inf
    return resolve(
        AttentionCall(
            query=np.random.default_rng(1).standard_normal((BATCH, HEADS, QUERIES, FEATURES)), key=key, value=value,
            score_model=DotProduct(), normalizer=NORMALIZERS[normalizer], mask=KINDS[kind][0], offset=OFFSET,
            bias=bias + LIFT if normalizer == "proportional" else bias if "bias" in kind else None, **STEPS[step],
            include=("output", "logsumexp") if normalizer.startswith("softmax") else ("output",),
        )
    )  # fmt: skip


def dense(resolved):
    with np.errstate(all="ignore"):
        return evaluate_dense(resolved, None, None)[0]


def tiled(sizes, resolved):
    with Workers(1) as workers:
        return evaluate_tiled(resolved, sizes, workers, None, None)[0]


PATHS = {"dense": dense} | {
    f"tiles of {sizes.rows} × {sizes.columns}": functools.partial(tiled, sizes)
    for sizes in (TileSizes(2, 3), TileSizes(4, 5, 2), TileSizes(9, 9))
}


def poisoned(poison, places):
    """Key and value with ordinary numbers, a poison in one feature of a key and in one of another value."""
    rng = np.random.default_rng(2)
    key, value = rng.standard_normal((BATCH, 1, KEYS, FEATURES)), rng.standard_normal((BATCH, 1, KEYS, 2))
    if poison is not None:
        key[:, :, places[0], 1] = value[:, :, places[1], 0] = poison
    return key, value


def judge(received, expected, sees_key, sees_value, poison):
    """Rows that see neither are as they were, and so are columns that only have ordinary values."""
    output, unharmed = received["output"], expected["output"]
    np.testing.assert_array_equal(output[~sees_key, 1], unharmed[~sees_key, 1])
    np.testing.assert_array_equal(output[~sees_key & ~sees_value], unharmed[~sees_key & ~sees_value])
    if "logsumexp" in expected:
        np.testing.assert_array_equal(received["logsumexp"][~sees_key], expected["logsumexp"][~sees_key])
    if np.isnan(poison):
        assert np.isnan(output[sees_key]).all()
        assert np.isnan(output[sees_value, 0]).all()


@pytest.mark.parametrize(("kind", "normalizer", "path"), product_sample(3, KINDS, NORMALIZERS, PATHS))
def test_hidden_numbers_have_no_influence(path, normalizer, kind):
    visible = np.broadcast_to(KINDS[kind][1], SHAPE)
    met = []
    for step in STEPS:
        expected = PATHS[path](call(normalizer, kind, step, *poisoned(None, ())))
        for poison, places in zip(NON_FINITE, ((4, 4), (8, 5), (3, 0)), strict=True):
            received = PATHS[path](call(normalizer, kind, step, *poisoned(poison, places)))
            sees = [visible[..., place] for place in places]
            judge(received, expected, *sees, poison)
            met += sees
    assert not np.concatenate(met).all()
    assert np.concatenate(met).any()


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("poison", NON_FINITE)
def test_rotary_rotates_non_finite_numbers_without_a_warning(poison, interleaved):
    rng = np.random.default_rng(3)
    key = rng.standard_normal((5, FEATURES))
    query, bad = rng.standard_normal((5, FEATURES)), key.copy()
    bad[3] = poison
    options = {"position": Rotary(interleaved=interleaved), "mask": Causal()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        received = attend(query, bad, bad, **options)
    expected = attend(query, key, key, **options)
    np.testing.assert_array_equal(received.output[:3], expected.output[:3])
    assert np.isnan(received.output[3:]).all()


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("sink", [0.5, 800.0])
def test_a_nan_row_changes_no_other_row_beside_a_sink(sink, poison):
    query, key = np.random.default_rng(4).standard_normal((2, 6, 3))
    value = np.random.default_rng(5).standard_normal((6, 2))
    options = {"key": key, "value": value, "normalizer": Softmax(sink=sink), "include": ("output", "logsumexp")}
    ordinary, bad = AttentionCall(query=query, **options), AttentionCall(query=query.copy(), **options)
    bad.query[2] = poison
    kept = [0, 1, 3, 4, 5]
    for path in PATHS.values():
        received, expected = path(resolve(bad)), path(resolve(ordinary))
        for name in ordinary.include:
            np.testing.assert_array_equal(received[name][kept], expected[name][kept])
        assert np.isnan(received["output"][2]).all()
