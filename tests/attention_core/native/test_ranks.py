"""Queries, keys, values and parameters of every rank and layout: each kernel agrees with NumPy."""

import random

import numpy as np
import pytest

from attention_core import CallError, ScaledDotProduct, attend, differentiate
from attention_core.masks import Allowed, Causal, KeyLengths, Window
from attention_core.native import using_kernel
from attention_core.normalizers import NORMALIZERS
from attention_core.positions import Alibi, Rotary
from attention_core.scores import SCORE_MODELS
from tests.attention_core.native.kernels import EACH_KERNEL, KERNELS
from tests.calls import BUILT_IN

CALLS_PER_SEED = 120

FIELDS = ("scores", "logits", "weights", "output")

TOLERANCES = {"float32": 3e-5, "float64": 1e-11}


class _Draws:
    """A call whose parts have leading axes that may broadcast, drawn by a seed."""

    def __init__(self, seed):
        self.choose = random.Random(seed).choice
        self.numbers = np.random.default_rng(seed)
        self.batch, self.heads = self.choose([1, 2, 3]), self.choose([1, 2, 4])
        self.features = self.choose([2, 4])

    def call(self):
        """Arguments of `attend`."""
        queries, keys, width = self.choose([1, 2, 5]), self.choose([1, 3, 70]), self.choose([1, 2, 5])
        query = self.normal(*self.leading(self.heads), queries, self.features)
        shared = self.choose([self.heads, 1])
        key = self.normal(*self.leading(shared), keys, self.features)
        value = self.normal(*self.leading(self.choose([shared, self.heads])), keys, width)
        arguments = {"query": query, "key": key, "value": value}
        if self.choose([True, False, False]):
            arguments["past_key"] = self.normal(*key.shape[:-2], 2, self.features)
            arguments["past_value"] = self.normal(*value.shape[:-2], 2, width)
        layout = self.choose([np.asarray, np.asarray, np.asfortranarray, lambda array: array[..., ::-1]])
        arguments = {name: layout(array) for name, array in arguments.items()}
        return arguments | {
            "score_model": self.score_model(),
            "normalizer": NORMALIZERS[self.choose(["softmax", "sigmoid", "relu", "none"])](),
            "position": self.choose([None, Alibi(), Rotary(), Alibi(slopes=self.numbers.random(self.heads))]),
            "bias": self.choose([None, self.normal(queries, keys), self.normal(self.batch, 1, 1, keys)]),
            "mask": self.mask(queries, keys),
            "offset": self.choose([None, 2, self.numbers.integers(0, 3, self.batch)]),
            "dtype": self.choose(list(TOLERANCES)),
        }

    def normal(self, *shape):
        """Normal numbers."""
        return self.numbers.standard_normal(shape)

    def leading(self, heads):
        """Leading axes: none, of the batch, of heads, of both, or stretched ones."""
        both = (self.batch, heads)
        return self.choose([(), both, both, (1, heads), (self.batch, 1), (heads,), (self.batch,), (1, 1), (2, *both)])

    def parameter(self, *shape):
        """A parameter for all heads, or for each."""
        return self.normal(*self.choose([(), (self.heads,)]), *shape)

    def score_model(self):
        """A score model with parameters of either kind."""
        name, size = self.choose(BUILT_IN), self.features
        per_head = self.choose([1.5, self.numbers.random(self.heads) + 0.1])
        parameters = {
            "additive": lambda: {
                "query_weight": self.parameter(3, size),
                "key_weight": self.parameter(3, size),
                "score_vector": self.parameter(3),
                "hidden_bias": self.choose([None, self.parameter(3)]),
            },
            "bilinear": lambda: {"weight": self.parameter(size, size)},
            "trilinear": lambda: {"weight": self.parameter(3 * size)},
            "scaled_dot_product": lambda: {"scale": per_head},
            "cosine": lambda: {"scale": per_head},
            "gaussian": lambda: {"bandwidth": per_head},
            "laplacian": lambda: {"bandwidth": per_head},
            "dot_product": dict,
        }
        return SCORE_MODELS[name](**parameters[name]())

    def mask(self, queries, keys):
        """A mask, or none."""
        lengths = self.numbers.integers(0, keys + 1, (self.batch, queries))
        some = self.numbers.random((queries, 1)) < 0.7
        by_lengths = (KeyLengths(lengths), KeyLengths(lengths[:, 0]))
        return self.choose([None, Causal(), Window(left=1), *by_lengths, Allowed(some)])


def _run(kernel, arguments):
    with using_kernel(kernel):
        return attend(**arguments, include=FIELDS).arrays


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(8, 60))])
def test_a_kernel_agrees_with_numpy_at_every_rank(seed):
    agreed = 0
    for number in range(CALLS_PER_SEED):
        arguments = _Draws(CALLS_PER_SEED * seed + number).call()
        try:
            expected = _run("numpy", arguments)
        except CallError:  # shapes that do not broadcast
            continue
        tolerance = TOLERANCES[arguments["dtype"]]
        for kernel in KERNELS:
            for name, array in _run(kernel, arguments).items():
                np.testing.assert_allclose(
                    array, expected[name], rtol=tolerance, atol=tolerance, err_msg=f"{name} of {number}"
                )
            agreed += 1
    assert agreed > CALLS_PER_SEED / 4


def _differentiate(kernel, arguments):
    with using_kernel(kernel):
        found = differentiate(**arguments)
    names = ("output", "query", "key", "value", "past_key", "past_value", "bias")
    gradients = {name: getattr(found, name) for name in names} | {**found.score_model, **found.normalizer}
    return {name: array for name, array in gradients.items() if array is not None}


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(4, 30))])
def test_gradients_of_a_kernel_agree_with_numpy_at_every_rank(seed):
    agreed = 0
    for number in range(CALLS_PER_SEED):
        drawn = _Draws(CALLS_PER_SEED * seed + number)
        arguments = drawn.call() | {
            "score_model": ScaledDotProduct(drawn.choose([None, drawn.numbers.random(drawn.heads) + 0.1]))
        }
        try:
            output = _run("numpy", arguments)["output"]
        except CallError:  # shapes that do not broadcast
            continue
        arguments["output_gradient"] = drawn.normal(*output.shape)
        expected = _differentiate("numpy", arguments)
        for kernel in KERNELS:
            for name, array in _differentiate(kernel, arguments).items():
                size = max(1.0, np.abs(expected[name]).max(initial=0.0))
                tolerance = size * TOLERANCES[arguments["dtype"]]
                np.testing.assert_allclose(array, expected[name], rtol=0, atol=tolerance, err_msg=f"{name} of {number}")
        agreed += 1
    assert agreed > CALLS_PER_SEED / 4


@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_alibi_counts_from_the_offset_of_each_query(kernel):
    numbers = np.random.default_rng(8)
    query, key = numbers.standard_normal((2, 2, 3, 4)), numbers.standard_normal((2, 2, 6, 4))
    lengths = KeyLengths(np.array([[2, 5, 6], [6, 1, 4]]))
    found = []
    for chosen in (kernel, "numpy"):
        with using_kernel(chosen):
            found.append(attend(query, key, mask=lengths, offset="bottom_right", position=Alibi()).weights)
    np.testing.assert_allclose(*found, atol=1e-14)
