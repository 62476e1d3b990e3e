"""Rounding errors of compiled gradients where a row has nearly all its weight on one key, and rows left to NumPy."""

import numpy as np
import pytest

from attention_core import (
    Causal,
    Gaussian,
    Identity,
    Proportional,
    Sigmoid,
    Softmax,
    Workers,
    differentiate,
)
from attention_core.native import available_kernels, using_kernel
from tests.attention_core.native.backward_calls import LAYOUTS, by_numpy, everything, judge_equal, vectors
from tests.attention_core.native.kernels import EACH_KERNEL
from tests.attention_core.native.test_backward_of_score_models import MODELS, score_models
from tests.sampling import product_sample

KERNELS = list(available_kernels()[0])
PATHS = [*KERNELS, "numpy"]
EPSILON = 2.0**-24
FACTOR = 32
"""Rounding errors of a sum of some features and some keys, in units of EPSILON."""


@pytest.mark.parametrize(("model", "dtype", "kernel"), product_sample(6, ["dot", *MODELS], ("f4", "f8"), PATHS))
def test_the_only_key_of_a_row_has_no_gradient(model, dtype, kernel):
    rng = np.random.default_rng(3)
    query, key, value, upstream = (rng.standard_normal((5, 34)).astype(dtype) for _ in range(4))
    options = {} if model == "dot" else {"score_model": score_models(34)[model]}
    with using_kernel(kernel):
        found = everything(differentiate(query, 1e6 * key[:1], 1e3 * value[:1], upstream, **options))
    for name, gradient in found.items():
        if name not in ("output", "value"):
            assert not np.any(gradient), name


@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_a_proportion_of_one_has_no_gradient(kernel):
    rng = np.random.default_rng(4)
    key, value = (rng.random((1, 34)).astype("f4") for _ in range(2))
    query, upstream = rng.random((5, 34)).astype("f4"), rng.standard_normal((5, 34)).astype("f4")
    with using_kernel(kernel):
        found = differentiate(query, 1e-6 * key, value, upstream, normalizer=Proportional())
    assert not found.query.any()
    assert not found.key.any()


def peaked(seed):
    """Rows of zero queries, whose logits are those of a bias: equal in every type, nearly all weight on one key."""
    rng = np.random.default_rng(seed)
    rows, keys, features, width = (int(rng.integers(1, most)) for most in (40, 700, 40, 70))
    key = rng.standard_normal((keys, features)) * 10.0 ** rng.integers(0, 7)
    value = (rng.standard_normal((keys, width)) + rng.integers(0, 3)) * 10.0 ** rng.integers(0, 5)
    bias = rng.standard_normal((rows, keys))
    bias[np.arange(rows), rng.integers(0, keys, rows)] += rng.uniform(5, 40, rows)
    sink = None if seed % 3 else float(rng.integers(-5, 5))
    arrays = np.zeros((rows, features)), key, value, rng.standard_normal((rows, width))
    return [array.astype("f4") for array in arrays], bias.astype("f4"), Softmax((0.5, 1.0, 2.0)[seed % 3], sink)


def slopes_of(arrays, bias, normalizer):
    """∂logits of `peaked` in float64, without a difference that cancels, and a bound of their rounding errors."""
    _, _, value, upstream = (array.astype("f8") for array in arrays)
    logits = bias.astype("f8") / normalizer.temperature
    relative = logits - logits.max(axis=-1, keepdims=True)
    sink = 0.0 if normalizer.sink is None else np.exp(normalizer.sink - logits.max(axis=-1, keepdims=True))
    total = np.exp(relative).sum(axis=-1, keepdims=True) + sink
    weights, sink = np.exp(relative) / total, sink / total
    gradients = upstream @ value.T
    top = np.argmax(weights, axis=-1)[:, None]
    # g − Σ w g = h − Σ w h + (weight of the sink) · (g of the top key), with h = g − (g of the top key).
    differences = gradients - np.take_along_axis(gradients, top, axis=-1)
    means = (weights * differences).sum(axis=-1, keepdims=True)
    slopes = weights * (differences - means + sink * (gradients - differences)) / normalizer.temperature
    # The difference of a logit to the largest is rounded before the exponential.
    size = (np.abs(upstream) @ np.abs(value).T).max(axis=-1, keepdims=True)
    bounds = EPSILON * size * weights * (FACTOR - relative) / normalizer.temperature
    np.put_along_axis(bounds, top, 0, axis=-1)
    of_sink = EPSILON * size * sink * (FACTOR + 40) / normalizer.temperature
    np.put_along_axis(bounds, top, bounds.sum(axis=-1, keepdims=True) + of_sink, axis=-1)
    return slopes, bounds + of_sink * weights, logits


@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize("seed", range(12))
def test_errors_are_in_proportion_to_the_weights_of_the_other_keys(seed, kernel):
    arrays, bias, normalizer = peaked(seed)
    with using_kernel(kernel):
        found = differentiate(*arrays, bias=bias, normalizer=normalizer)
    slopes, bounds, logits = slopes_of(arrays, bias, normalizer)
    smallest = np.finfo("f4").tiny
    assert (np.abs(found.bias - slopes) <= bounds + smallest).all()
    key = arrays[1].astype("f8") * arrays[1].shape[-1] ** -0.5
    assert (np.abs(found.query - slopes @ key) <= bounds @ np.abs(key) + smallest * np.abs(key).sum()).all()
    of_temperature = -(logits * slopes).sum()
    error = abs(found.normalizer["temperature"] - of_temperature)
    assert error <= (bounds * np.abs(logits)).sum() + FACTOR * EPSILON * abs(of_temperature) + smallest


@pytest.mark.parametrize("kernel", PATHS)
@pytest.mark.parametrize("normalizer", [Sigmoid(12.0), Softmax(0.5, sink=-14.0), Softmax(3.0, sink=2.0)], ids=str)
def test_gradients_of_normalizers_have_their_digits(normalizer, kernel):
    rng = np.random.default_rng(8)
    arrays = [rng.standard_normal((9, 6)).astype("f4") for _ in range(4)]
    with using_kernel(kernel):
        found = differentiate(*arrays, normalizer=normalizer).normalizer
    expected = by_numpy(*(array.astype("f8") for array in arrays), normalizer=normalizer).normalizer
    assert set(found) == set(expected)
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("kernel", PATHS)
@pytest.mark.parametrize(("dtype", "small"), [("f8", 1e-320), ("f4", 1e-41), ("f4", 1e38), ("f8", 5e307)])
def test_proportions_of_very_small_and_large_logits_have_their_slopes(dtype, small, kernel):
    logits = np.array([[1.0, 3.0, 0.5]], dtype) * np.array(small, dtype)
    scale = {1e-320: 1e-14, 1e-41: 1e-5}.get(small, 1.0)
    value, upstream = np.array([[1.0], [2.5], [4.0]], dtype), np.full((1, 1), scale, dtype)
    zeros = np.zeros((3, 2), dtype)
    with using_kernel(kernel):
        found = differentiate(zeros[:1], zeros, value, upstream, bias=logits, normalizer=Proportional())
    # Shares, and slopes times the sum, in powers of two of the logits.
    exact, total = logits.astype(np.longdouble), logits.astype(np.longdouble).sum()
    given = upstream.astype(np.longdouble)[0, 0] * value[:, 0]
    expected = (given - (exact[0] / total * given).sum()) / total
    np.testing.assert_allclose(found.bias[0].astype(np.longdouble), expected, rtol=1e-4 if dtype == "f4" else 1e-12)


@pytest.mark.parametrize(
    ("place", "broken"), [("query", np.nan), ("key", np.nan), ("value", np.nan), ("value", np.inf)]
)
@pytest.mark.parametrize(("layout", "model", "kernel"), product_sample(7, LAYOUTS, ["dot", "bilinear"], KERNELS))
def test_rows_keep_their_bits_beside_a_broken_one(layout, model, kernel, broken, place):
    arrays = dict(zip(("query", "key", "value", "output_gradient"), vectors(layout, "float32"), strict=True))
    options = {"mask": Causal(), "offset": 40}
    if model != "dot":
        options["score_model"] = score_models(arrays["query"].shape[-1])[model]
    with using_kernel(kernel), Workers(3) as workers:
        whole = differentiate(**arrays, **options)
        arrays[place][0, 1, 120, 1] = broken
        found = differentiate(**arrays, **options)
        judge_equal(found, differentiate(**arrays, **options, workers=workers))
    expected = by_numpy(**arrays, **options)
    broken_rows = np.isnan(expected.query).any(axis=-1)
    assert broken_rows.any()
    assert not broken_rows.all()
    for name in ("output", "query"):
        np.testing.assert_array_equal(getattr(found, name)[~broken_rows], getattr(whole, name)[~broken_rows], name)
    for name, gradient in everything(expected).items():
        np.testing.assert_array_equal(np.isfinite(everything(found)[name]), np.isfinite(gradient), err_msg=name)
    # Keys that no broken row sees have sums of the same numbers.
    unseen = np.isfinite(expected.key).all(axis=-1)
    assert unseen.any()
    np.testing.assert_array_equal(found.key[unseen], whole.key[unseen])


@pytest.mark.parametrize("kernel", PATHS)
@pytest.mark.parametrize("normalizer", [Softmax(), Identity()], ids=lambda one: one.name)
def test_a_distance_beyond_the_type_contributes_nothing(normalizer, kernel):
    query = np.array([[0.0, 1.0]], "f4")
    key = np.array([[0.5, 1.0], [3e38, 3e38], [-3e38, 1.0], [1.0, 2.0]], "f4")
    value, upstream = np.array([[1.0], [5.0], [7.0], [2.0]], "f4"), np.ones((1, 1), "f4")
    options = {"score_model": Gaussian(0.5), "normalizer": normalizer}
    with using_kernel(kernel):
        found = everything(differentiate(query, key, value, upstream, **options))
        near = everything(differentiate(query, key[[0, 3]], value[[0, 3]], upstream, **options))
        high = differentiate(query - np.float32(3e38), key + 0, value, upstream, **options)
    for name in ("query", "score_model.bandwidth"):
        np.testing.assert_allclose(found[name], near[name], rtol=1e-5, err_msg=name)
    assert not found["key"][1:3].any()
    assert all(np.isfinite(gradient).all() for gradient in everything(high).values())
