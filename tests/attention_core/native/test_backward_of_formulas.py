"""The backward pass of kernels for formulas that are recognised: gradients go on through the tree of the formula."""

import random

import numpy as np
import pytest

from attention_core import Causal, FormulaScore, Identity, Workers, differentiate
from attention_core.formulas import PerHead
from attention_core.native import available_kernels, using_kernel
from tests.attention_core.formulas.binding import bind, given
from tests.attention_core.formulas.drawing import HEADS, D, Drawer, names_in, write
from tests.attention_core.native.backward_calls import (
    LAYOUTS,
    OPTIONS,
    by_numpy,
    everything,
    judge_equal,
    vectors,
)
from tests.sampling import draws, product_sample

KERNELS = list(available_kernels()[0])
UNITS, QUERIES = 9, 40
SIZES = ((3, D), (4, D), (4, 2), (3, 2))
"""Lengths and features of query, key, value and output gradient of drawn formulas."""

FORMULAS = (
    "q @ k / sqrt(D)",
    "c * dot(q, k) / g",
    "q @ M @ k",
    "(M @ q) @ (B @ k) / D",
    "dot(q * w, k) + sum(q) * g - c * w @ k + c",
    "dot(tanh(q / g), k * w)",
    "3 * cosine(q, k)",
    "c * dot(q, k) / (norm(q) * norm(k))",
    "(q @ k) / norm(k) / g",
    "c * dot(q / norm(q), k / norm(k))",
    "dot(B @ q, k) / sqrt(sum(square(B @ q)) * dot(k, k))",
    "w @ (q * k) / D + w @ q + w @ k",
    "-sum(square(q - k)) / (2 * g ** 2)",
    "-sum(square((q - k) / g)) / 9",
    "-norm(q * w - k) ** 2 / g / 9",
    "-sum(abs(q - k)) / (g * 3)",
    "-norm1(tanh(q * w) - k) / D",
    "v @ tanh(W @ q + V @ k + x) / c",
    "sum(v * x * tanh(W @ q - g * (V @ k) + c))",
)


def parameters(text, features, heads=()):
    """Parameters of a formula, for all heads or for each."""
    rng = np.random.default_rng(features)
    shapes = {
        **dict.fromkeys("MB", (features, features)), "w": (features,), **dict.fromkeys("VW", (UNITS, features)),
        **dict.fromkeys("vx", (UNITS,)), "c": (), "g": (),
    }  # fmt: skip
    used = {name: shape for name, shape in shapes.items() if name in _names(text)}
    drawn = {
        name: rng.standard_normal((*heads, *shape)) / shape[-1] ** 0.5 if shape else 2 + rng.random(heads)
        for name, shape in used.items()
    }
    return {name: PerHead(value) for name, value in drawn.items()} if heads else drawn


def _names(text):
    return set("".join(letter if letter.isalnum() else " " for letter in text).split())


FORMULA_OPTIONS = {name: OPTIONS[name] for name in ("plain", "soft cap, temperature", "alibi", "sigmoid")}


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize(
    ("text", "option", "layout", "heads"), product_sample(11, FORMULAS, FORMULA_OPTIONS, LAYOUTS, ((), (4,)))
)
def test_gradients_are_those_of_numpy(text, option, layout, heads):
    kernel = KERNELS[FORMULAS.index(text) % len(KERNELS)]
    model = FormulaScore(text, parameters(text, LAYOUTS[layout][0][-1], heads))
    options = {"score_model": model, **FORMULA_OPTIONS[option]}
    for dtype, tolerance in (("float64", 1e-11), ("float32", 5e-4)):
        query, key, value, upstream = vectors(layout, dtype)
        arrays = query[..., :QUERIES, :], key, value, upstream[..., :QUERIES, :]
        expected = everything(by_numpy(*arrays, **options))
        with using_kernel(kernel):
            found = everything(differentiate(*arrays, **options))
        assert set(found) == set(expected)
        for name, gradient in found.items():
            assert gradient.shape == expected[name].shape, name
            assert gradient.dtype == expected[name].dtype, name
            size = max(np.abs(expected[name]).max(), 1.0)
            np.testing.assert_allclose(gradient, expected[name], rtol=0, atol=tolerance * size, err_msg=name)


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize(("text", "kernel"), product_sample(7, FORMULAS, KERNELS))
def test_bits_depend_on_neither_threads_nor_batch(text, kernel):
    arrays = vectors("heads", "float32")
    options = {"score_model": FormulaScore(text, parameters(text, 34)), "mask": Causal(), "offset": 250}
    with using_kernel(kernel):
        together = differentiate(*arrays, **options)
        with Workers(3) as workers:
            judge_equal(together, differentiate(*arrays, workers=workers, **options))
        for row in range(2):
            alone = differentiate(*(array[row : row + 1] for array in arrays), **options)
            for name in ("output", "query", "key", "value"):
                np.testing.assert_array_equal(getattr(together, name)[row : row + 1], getattr(alone, name), name)


def test_drawn_formulas_have_the_gradients_of_numpy():
    rng, numbers, recognised = random.Random(3), np.random.default_rng(3), 0
    for _ in range(draws(1500)):
        drawer = Drawer(rng, "score_model")
        tree, (values, by_head) = drawer.number(rng.randint(1, 3)), drawer.parameters()
        used = {name: value for name, value in values.items() if name in names_in(tree)}
        model = FormulaScore(write(tree), given(used, by_head))
        arrays = [numbers.standard_normal((2, HEADS, length, size)) for length, size in SIZES]
        bound = bind(write(tree), "score_model", given(used, by_head), heads=HEADS)
        if bound.plan.kernel_form is None:
            continue
        recognised += 1
        options = {"score_model": model, "normalizer": Identity()}
        expected = everything(by_numpy(*arrays, **options))
        for name, gradient in everything(differentiate(*arrays, **options)).items():
            size = max(1.0, np.abs(expected[name][np.isfinite(expected[name])]).max(initial=0))
            np.testing.assert_allclose(
                gradient, expected[name], rtol=0, atol=1e-9 * size, err_msg=f"{name} of {write(tree)}"
            )
    assert recognised > draws(40)
