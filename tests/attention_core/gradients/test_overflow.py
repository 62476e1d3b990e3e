"""Gradients where scores and slopes overflow, and of cosines of zero vectors and of broken ones."""

import numpy as np
import pytest

from attention_core import (
    NORMALIZERS,
    Additive,
    Allowed,
    Causal,
    Cosine,
    FormulaScore,
    Gaussian,
    Laplacian,
    attend,
    differentiate,
)
from attention_core.native import available_kernels, using_kernel
from tests import oracle
from tests.attention_core.gradients.judge import named
from tests.attention_core.native.kernels import EACH_KERNEL
from tests.digits import exact

BROKEN = (np.nan, np.inf, -np.inf)


def vectors(*shape):
    rng = np.random.default_rng(1)
    return [rng.standard_normal(shape) for _ in range(4)]


@pytest.mark.parametrize("bandwidth", [1e-200, 1e-320])
@pytest.mark.parametrize("model", [Gaussian, Laplacian])
def test_a_tiny_bandwidth_has_finite_slopes(model, bandwidth):
    query, key = np.array([[1.0, 2.0]]), np.array([[1.0, 2.0], [1.0, 2.0], [4.0, 2.0]])
    found = differentiate(query, key, [[1.0], [3.0], [9.0]], [[1.0]], score_model=model(bandwidth))
    assert not found.query.any()
    assert not found.key.any()
    assert found.score_model["bandwidth"] == 0


@pytest.mark.parametrize("normalizer", ["softmax", "sigmoid"])
@pytest.mark.parametrize("model", [Gaussian(0.5), Laplacian(0.5)], ids=lambda one: one.name)
def test_a_score_of_minus_infinity_contributes_nothing(model, normalizer):
    query, key = np.array([[1.0, 2.0]]), np.array([[1.0, 2.5], [1.5, 2.0], [1.7e308, -1.7e308]])
    options = {"score_model": model, "normalizer": NORMALIZERS[normalizer]()}
    far = differentiate(query, key, [[1.0], [3.0], [9.0]], [[1.0]], **options)
    near = differentiate(query, key[:2], [[1.0], [3.0]], [[1.0]], **options)
    np.testing.assert_allclose(far.score_model["bandwidth"], near.score_model["bandwidth"], rtol=1e-13)
    np.testing.assert_allclose(far.query, near.query, rtol=1e-13)
    assert not far.key[2].any()


def test_a_hidden_key_whose_projection_overflows_has_no_influence():
    model = Additive(np.ones((1, 2)), np.array([[1e308, -1e308]]), np.ones(1))
    query, key = np.ones((1, 2)), np.array([[1e-308, 0.0], [100.0, 100.0]])
    options = {"score_model": model, "mask": Allowed(np.array([True, False]))}
    found = differentiate(query, key, [[1.0], [2.0]], [[1.0]], **options)
    assert all(np.isfinite(gradient).all() for gradient in named(found).values())


@pytest.mark.parametrize("path", ["kernel", "numpy"])
def test_a_zero_vector_has_no_gradient_of_its_cosine(path, request):
    if path == "numpy":
        request.getfixturevalue("numpy_path")
    query, key, value, upstream = vectors(4, 3)
    query[1], key[2] = 0, 0
    for model in (Cosine(2.0), FormulaScore("2 * cosine(q, k)")):
        found = differentiate(query, key, value, upstream, score_model=model)
        assert not found.query[1].any()
        assert not found.key[2].any()
        assert found.query[[0, 2, 3]].all()


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("model", [Cosine(2.0), FormulaScore("2 * cosine(q, k)")], ids=["built-in", "formula"])
def test_a_zero_query_beside_a_broken_key_is_a_nan_row(model, broken):
    query, key, value, upstream = vectors(4, 3)
    query[1], key[2, 0] = 0, broken
    found = differentiate(query, key, value, upstream, score_model=model, mask=Causal(), offset=1)
    assert [i for i in range(4) if np.isnan(found.query[i]).all()] == [1, 2, 3]
    scores = attend(query, key, value, score_model=model, include=("scores",)).scores
    assert np.isnan(scores[:, 2]).all()
    assert oracle.SCORE_MODELS["cosine"]({}, *map(exact, (query[1].tolist(), key[2].tolist()))).is_nan()


KERNELS = ["numpy", *available_kernels()[0]]


@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize(
    "formula", ["dot(q, k) / norm(k)", "dot(q, k) / (norm(q) * norm(k))", "where(norm(k) > 0, dot(q, k) / norm(k), 0)"]
)
def test_a_zero_key_that_contributes_nothing_has_no_gradient(formula, kernel):
    """Its direction is NaN; it is hidden, or the branch that uses it is not taken."""
    mask = None if "where" in formula else Allowed(np.array([True, False]))
    with using_kernel(kernel):
        found = differentiate(
            [[1.0]], [[1.0], [0.0]], [[1.0], [2.0]], 1.0, score_model=FormulaScore(formula), mask=mask
        )
    assert found.key.tolist() == [[0.0], [0.0]]
    assert np.isfinite(found.query).all()


@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("width", [1, 3])
def test_an_infinite_projection_has_no_slope(width, sign, kernel):
    """Where tanh is 1 or −1 to the last digit its slope is 0, and so it is where its operand overflows."""
    model = Additive(np.full((1, 1), 10.0), np.full((1, 1), 10.0), np.ones(1))
    query, key = np.array([[sign * 3e38]], np.float32), np.array([[sign * 3e38]] + [[0.0]] * width, np.float32)
    value = np.arange(1 + width, dtype=np.float32)[:, None]
    with using_kernel(kernel):
        found = named(differentiate(query, key, value, np.float32(1), score_model=model))
    for name, gradient in found.items():
        if name != "value":
            np.testing.assert_allclose(gradient, 0, atol=1e-6, err_msg=name)
