"""Calls that kernels and NumPy differentiate, and the arrays of theirs that are compared."""

import numpy as np
import pytest

from attention_core import (
    Alibi,
    Allowed,
    Causal,
    DotProduct,
    Identity,
    KeyLengths,
    Proportional,
    Relu,
    Rotary,
    ScaledDotProduct,
    Segments,
    Sigmoid,
    Softmax,
    Window,
    differentiate,
)
from attention_core.gradients import evaluate
from attention_core.gradients.backward import differentiate_rows
from attention_core.native import using_kernel
from tests.attention_core.gradients.judge import named

RNG = np.random.default_rng(5)
LONG, WIDE = 470, 130
"""Keys in several blocks and chunks, and features in several panels, neither of them whole."""

OPTIONS = {
    "plain": {},
    "no scale": {"score_model": DotProduct()},
    "scales of heads": {"score_model": ScaledDotProduct(np.array([0.1, -0.2, 0.3, 0.05]))},
    "temperature, sinks": {"normalizer": Softmax(0.7, sink=np.array([0.3, 0.1, -1.0, 5.0]))},
    "causal": {"mask": Causal(), "offset": 300},
    "window": {"mask": Window(20, 3), "offset": 250},
    "window, key lengths": {"mask": Window(150, 150) & KeyLengths(np.array([0, 201])), "offset": 130},
    "allowed": {"mask": Allowed(RNG.random((4, 1, LONG)) < 0.3)},
    "a row in between that sees nothing": {
        "mask": Segments(np.array([0] * 40 + [9] * 60 + [0] * 50), np.zeros(LONG, int)),
        "normalizer": Softmax(0.7),
    },
    "soft cap, temperature": {"softcap": 0.8, "normalizer": Softmax(0.5)},
    "alibi": {"position": Alibi(), "mask": Causal(), "offset": 400},
    "rotary": {"position": Rotary()},
    "bias of pairs": {"bias": RNG.standard_normal((2, 4, 150, LONG))},
    "bias of pairs for all": {"bias": RNG.standard_normal((150, LONG)), "normalizer": Softmax(2.0)},
    "bias of pairs of a head": {"bias": RNG.standard_normal((4, 150, LONG)), "softcap": 2.0},
    "bias of pairs of a batch row": {"bias": RNG.standard_normal((2, 1, 150, LONG))},
    "bias of keys": {"bias": RNG.standard_normal((4, 1, LONG))},
    "bias of queries": {"bias": RNG.standard_normal((2, 1, 150, 1)), "normalizer": Sigmoid(-1.0)},
    "one bias": {"bias": np.array(0.5), "normalizer": Sigmoid()},
    "bias that hides": {"bias": np.where(RNG.random((150, LONG)) < 0.5, 0.0, -np.inf)},
    "sigmoid": {"normalizer": Sigmoid(-1.0), "mask": Causal(), "offset": 100},
    "relu": {"normalizer": Relu(), "mask": Window(70, 10), "offset": 100},
    "none": {"normalizer": Identity(), "softcap": 1.0, "mask": Causal(), "offset": 10},
    "proportional": {"normalizer": Proportional(), "bias": np.array([30.0]), "mask": KeyLengths(np.array([470, 3]))},
}
LAYOUTS = {
    "heads": ((2, 4, 150, 34), (2, 4, LONG, 34), 20),
    "grouped heads": ((2, 4, 150, WIDE), (2, 2, LONG, WIDE), 70),
    "shared keys": ((2, 4, 150, 8), (1, 4, LONG, 8), 3),
}


def vectors(layout, dtype="float64", seed=1):
    query_shape, key_shape, width = LAYOUTS[layout]
    rng = np.random.default_rng(seed)
    shapes = (query_shape, key_shape, (*key_shape[:-1], width), (*query_shape[:-1], width))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def everything(found):
    return {"output": found.output, **named(found)}


def judge_equal(one, two):
    """Fail unless two answers are the same to the bit."""
    first, second = everything(one), everything(two)
    assert set(first) == set(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def by_numpy(*arrays, **options):
    with using_kernel("numpy"), pytest.MonkeyPatch.context() as patched:
        patched.setattr(evaluate, "differentiate_rows", differentiate_rows)
        return differentiate(*arrays, **options)
