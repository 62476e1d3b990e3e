"""Both ways of streaming a softmax stay within the derived bound, where a fast path is easiest to fool too."""

from itertools import product

import numpy as np
import pytest

from attention_core import AttentionCall, DotProduct, Proportional, Relu, ScaledDotProduct, Softmax, resolve
from attention_core.cost import TileSizes
from attention_core.interfaces import Features, Rows
from attention_core.normalizers import online_softmax
from tests import calls, oracle, plain
from tests.attention_core.blockwise.judge import tiled
from tests.attention_core.test_properties import ADVERSARIAL, UNLIMITED

FIELDS = ("output", "logsumexp")


def judge(request, sizes, names):
    """Fail unless the tiled path is within the bound of the truth."""
    fields, _ = tiled(resolve(calls.core_call(request, include=names)), sizes)
    truth, simple = oracle.attention(request), plain.attention(request)
    for name in names:
        received, reference = fields[name].astype(float), np.array(truth[name], float)
        assert np.isfinite(received).all()
        assert np.max(np.abs(received - reference)) <= plain.bound(reference, simple[name], request["dtype"]), name


@pytest.mark.parametrize("sizes", [TileSizes(1, 1), TileSizes(1, 4)], ids=["key by key", "four keys"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("normalizer", UNLIMITED)
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_logits(name, normalizer, dtype, sizes):
    request = {
        "query": [[1.0]],
        "key": [[number] for number in ADVERSARIAL[name]],
        # The plain evaluation may be right by luck in one number, hardly in twenty.
        "value": (np.random.default_rng(3).integers(-4, 5, (6, 20)) / 16).tolist(),
        "score_model": {"name": "dot_product"},
        "normalizer": {"name": normalizer},
        "dtype": dtype,
    }
    judge(request, sizes, FIELDS if normalizer == "softmax" else FIELDS[:1])


TYPES = ("float64", "float32")
SCALES = (1e-30, 1e-12, 1.0, 1e6, 1e30)
MANY = {
    "ordinary": lambda rng, keys: rng.standard_normal((keys, 8)),
    "integers": lambda rng, keys: rng.integers(-3, 4, (keys, 8)).astype(float),
    "one feature": lambda rng, keys: np.eye(8)[np.zeros(keys, int)] * rng.integers(-9, 10, (keys, 1)),
    "cancelling": lambda rng, keys: np.tile([1e4, -1e4, 1.0, 0.0], (keys, 2)) * rng.choice([1.0, 2.0], (keys, 1)),
    "growing": lambda rng, keys: np.linspace(-40, 40, keys)[:, None] * np.eye(8)[:1],
    "shrinking": lambda rng, keys: np.linspace(40, -40, keys)[:, None] * np.eye(8)[:1],
    "a late giant": lambda rng, keys: rng.standard_normal((keys, 8)) + (np.arange(keys) == keys - 1)[:, None] * 60,
    "all equal": lambda rng, keys: np.full((keys, 8), 0.3),
    "tiny": lambda rng, keys: rng.standard_normal((keys, 8)) * 1e-30,
}


SINKS = (None, 0.0, 60.0)


def half_of_all():
    """Every logits, scale, dtype and sink; each other combination is for the soak, so that every pair is in both."""
    for places in product(*map(range, map(len, (MANY, SCALES, TYPES, SINKS)))):
        name, scale, dtype, sink = places
        marks = pytest.mark.soak if sum(places) % 2 else ()
        yield pytest.param([*MANY][name], SCALES[scale], TYPES[dtype], SINKS[sink], marks=marks)


@pytest.mark.parametrize(("name", "scale", "dtype", "sink"), list(half_of_all()))
def test_many_keys_and_values_of_any_size(name, scale, dtype, sink):
    rng = np.random.default_rng(7)
    query = rng.integers(-2, 3, (24, 8)).astype(float)
    request = {
        "query": query.tolist(),
        "key": MANY[name](rng, 80).tolist(),
        "value": (rng.standard_normal((80, 5)) * scale).tolist(),
        "normalizer": {"name": "softmax", "sink": sink},
        "dtype": dtype,
    }
    judge(request, TileSizes(5, 32), FIELDS)


def rows(bound, dtype=np.float32, largest_value=1.0, keys=1000):
    return Rows(shape=(3,), place=(0,), dtype=np.dtype(dtype), keys=keys, bound=bound, largest_value=largest_value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_maximum_is_left_out_only_where_no_exponential_can_be_lost(dtype):
    limits = np.finfo(dtype)
    kept = [bound for bound in range(0, 1000, 3) if online_softmax.exponentials_fit(rows(bound, dtype))]
    assert kept == list(range(0, kept[-1] + 1, 3))
    assert np.exp(kept[-1]) * 1000 < float(limits.max) / 2**29
    assert np.exp(-kept[-1]) > float(limits.tiny) * 2**29
    for bound in (np.nan, np.inf, -np.log(float(limits.tiny))):
        assert not online_softmax.exponentials_fit(rows(bound, dtype))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, 1e-30])
def test_values_too_large_or_too_small_for_exponentials_as_they_are(value):
    assert online_softmax.exponentials_fit(rows(16.0))
    assert not online_softmax.exponentials_fit(rows(16.0, largest_value=value))


def test_both_streams_give_the_same_weights():
    rng = np.random.default_rng(2)
    logits = rng.uniform(-5, 5, (3, 40))
    logits[1, :25] = -np.inf
    logits[2] = -np.inf
    ends = []
    for bound in (5.0, np.inf):
        stream = Softmax().stream(rows(bound, np.float64))
        total = np.zeros((3, 1))
        with np.errstate(divide="ignore"):
            for start in (0, 10, 20, 30):
                tile = logits[:, start : start + 10].copy()
                factor = stream.weigh(tile, start, slice(0, len(tile)))
                total = total * (1 if factor is None else factor) + tile @ np.arange(start, start + 10.0)[:, None]
            ends.append((type(stream), total / stream.ends().divisor, stream.ends().logsumexp))
    assert ends[0][0] is not ends[1][0]
    np.testing.assert_allclose(ends[0][1], ends[1][1], rtol=1e-14)
    np.testing.assert_allclose(ends[0][2], ends[1][2], rtol=1e-14)


@pytest.mark.parametrize(
    ("features", "query", "folded"), [(64, 1.0, True), (64, 1e-44, False), (64, np.nan, False), (48, 1.0, False)]
)
def test_the_scale_is_folded_into_the_queries_only_when_nothing_is_lost(features, query, folded):
    model = ScaledDotProduct().bind(Features(features, features), np.dtype(np.float32))
    side = model.for_queries(np.full((2, features), query, np.float32))
    assert len(side) == (1 if folded else 2)


@pytest.mark.parametrize("normalizer", [Relu(), Proportional()], ids=lambda one: one.name)
def test_sums_that_overflow_where_weights_do_not(normalizer):
    key, value = np.full((20, 1), 3e38, np.float32), np.full((20, 1), 0.5, np.float32)
    call = AttentionCall(
        query=np.ones((1, 1), np.float32), key=key, value=value, score_model=DotProduct(), normalizer=normalizer,
        bias=np.zeros(20, np.float32), include=("output",),
    )  # fmt: skip
    (output,) = tiled(resolve(call), TileSizes(1, 3))[0]["output"][0]
    assert output == pytest.approx(1.5e38 if normalizer.name == "relu" else 0.5, rel=1e-6)
