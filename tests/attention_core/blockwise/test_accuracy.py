"""The online normalizers stay within the derived error bound, also on adversarial inputs."""

import numpy as np
import pytest

from attention_core import AttentionCall, DotProduct, Proportional, Relu, resolve
from attention_core.tile_sizes import TileSizes
from tests import bounds, core_calls, oracle
from tests.attention_core.adversarial import ADVERSARIAL, UNLIMITED
from tests.attention_core.blockwise.judge import tiled
from tests.sampling import product_sample

FIELDS = ("output", "logsumexp")


def judge(request, sizes, names):
    """Fail unless the tiled path is within the bound of the truth."""
    fields, _ = tiled(resolve(core_calls.core_call(request, include=names)), sizes)
    truth = oracle.attention(request)
    simple = bounds.worst([request], truth)
    for name in names:
        received, reference = fields[name].astype(float), np.array(truth[name], float)
        assert np.isfinite(received).all()
        assert np.max(np.abs(received - reference)) <= bounds.bound(reference, simple[name], request["dtype"]), name


@pytest.mark.parametrize(
    ("name", "normalizer", "dtype", "sizes"),
    product_sample(2, ADVERSARIAL, UNLIMITED, ("float64", "float32"), (TileSizes(1, 1), TileSizes(1, 4))),
)
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
    "ordinary": lambda rng, n_keys: rng.standard_normal((n_keys, 8)),
    "integers": lambda rng, n_keys: rng.integers(-3, 4, (n_keys, 8)).astype(float),
    "one feature": lambda rng, n_keys: np.eye(8)[np.zeros(n_keys, int)] * rng.integers(-9, 10, (n_keys, 1)),
    "cancelling": lambda rng, n_keys: np.tile([1e4, -1e4, 1.0, 0.0], (n_keys, 2)) * rng.choice([1.0, 2.0], (n_keys, 1)),
    "growing": lambda rng, n_keys: np.linspace(-40, 40, n_keys)[:, None] * np.eye(8)[:1],
    "shrinking": lambda rng, n_keys: np.linspace(40, -40, n_keys)[:, None] * np.eye(8)[:1],
    "a late giant": lambda rng, n_keys: (
        rng.standard_normal((n_keys, 8)) + (np.arange(n_keys) == n_keys - 1)[:, None] * 60
    ),
    "all equal": lambda rng, n_keys: np.full((n_keys, 8), 0.3),
    "tiny": lambda rng, n_keys: rng.standard_normal((n_keys, 8)) * 1e-30,
}


SINKS = (None, 0.0, 60.0)


@pytest.mark.parametrize(("name", "scale", "dtype", "sink"), product_sample(4, MANY, SCALES, TYPES, SINKS))
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


@pytest.mark.parametrize("normalizer", [Relu(), Proportional()], ids=lambda one: one.name)
def test_sums_that_overflow_where_weights_do_not(normalizer):
    key, value = np.full((20, 1), 3e38, np.float32), np.full((20, 1), 0.5, np.float32)
    call = AttentionCall(
        query=np.ones((1, 1), np.float32), key=key, value=value, score_model=DotProduct(), normalizer=normalizer,
        bias=np.zeros(20, np.float32), include=("output",),
    )  # fmt: skip
    (output,) = tiled(resolve(call), TileSizes(1, 3))[0]["output"][0]
    assert output == pytest.approx(1.5e38 if normalizer.name == "relu" else 0.5, rel=1e-6)
