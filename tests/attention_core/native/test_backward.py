"""The backward pass of every kernel beside NumPy's and the oracle's slopes, its bits, and what it lets through."""

from dataclasses import replace

import numpy as np
import pytest

from attention_core import (
    Allowed,
    AttentionCall,
    Causal,
    DotProduct,
    Gaussian,
    Heads,
    Identity,
    KeyLengths,
    Proportional,
    Relu,
    ScaledDotProduct,
    Sigmoid,
    Softmax,
    Stopped,
    Workers,
    differentiate,
    resolve,
)
from attention_core.gradients import evaluate
from attention_core.kernel_forms import PairFunction
from attention_core.native import available_kernels, differentiate_with_kernel, using_kernel
from tests import calls
from tests.attention_core.gradients.judge import assert_gradients
from tests.attention_core.native.backward_calls import (
    LAYOUTS,
    LONG,
    OPTIONS,
    by_numpy,
    everything,
    judge_equal,
    vectors,
)
from tests.attention_core.native.kernels import EACH_KERNEL
from tests.sampling import product_sample

KERNELS = list(available_kernels()[0])
NORMALIZERS = ("softmax", "sigmoid", "relu", "none", "proportional")
SAMPLED_ONE_IN = 24
"""Combinations of settings and heads for each that is tried."""


def name_of(value):
    """Return the name of a normalizer as part of the id of a test; pytest names all else."""
    return getattr(value, "name", None)


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize(("option", "layout", "kernel"), product_sample(5, OPTIONS, LAYOUTS, KERNELS))
def test_gradients_are_those_of_numpy(option, layout, kernel):
    # A float32 logit within rounding of relu's kink may have another sign.
    for dtype, tolerance in (("float64", 2e-12), ("float32", 2e-4))[: 1 if option == "relu" else 2]:
        arrays = vectors(layout, dtype)
        expected = everything(by_numpy(*arrays, **OPTIONS[option]))
        with using_kernel(kernel):
            found = everything(differentiate(*arrays, **OPTIONS[option]))
        assert set(found) == set(expected)
        for name, gradient in found.items():
            assert gradient.shape == expected[name].shape
            assert gradient.dtype == expected[name].dtype
            size = max(np.abs(expected[name]).max(), 1.0)
            np.testing.assert_allclose(gradient, expected[name], rtol=0, atol=tolerance * size, err_msg=name)


@pytest.mark.parametrize(
    ("score_model", "normalizer", "kernel"),
    product_sample(5, ["dot_product", "scaled_dot_product"], NORMALIZERS, KERNELS),
)
def test_gradients_are_slopes_of_the_oracle(score_model, normalizer, kernel):
    kind = (score_model, normalizer, "float64")
    chosen = [one for one in calls.combinations() if (one.score_model, one.normalizer, one.dtype) == kind]
    first = NORMALIZERS.index(normalizer) + KERNELS.index(kernel)
    with using_kernel(kernel):
        for one in chosen[first::SAMPLED_ONE_IN]:
            assert_gradients(one.request(), one.seed)


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize(
    ("option", "kernel"),
    product_sample(3, ["plain", "temperature, sinks", "causal", "bias of pairs for all", "sigmoid"], KERNELS),
)
def test_bits_do_not_depend_on_the_number_of_threads(option, kernel):
    arrays = vectors("grouped heads", "float32")
    with using_kernel(kernel):
        alone = differentiate(*arrays, **OPTIONS[option])
        for threads in (2, 3, 4):
            with Workers(threads) as workers:
                for _ in range(2):
                    judge_equal(alone, differentiate(*arrays, workers=workers, **OPTIONS[option]))


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_bits_of_a_batch_row_are_those_of_the_row_alone(kernel):
    arrays = vectors("grouped heads", "float32")
    options = {"mask": Causal(), "offset": 250, "softcap": 3.0}
    with using_kernel(kernel):
        together = everything(differentiate(*arrays, **options))
        for row in range(2):
            alone = everything(differentiate(*(array[row : row + 1] for array in arrays), **options))
            for name in ("output", "query", "key", "value"):
                np.testing.assert_array_equal(together[name][row : row + 1], alone[name], err_msg=name)


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize("queries", [1, 150])
def test_bits_of_a_query_do_not_depend_on_other_queries(queries, kernel):
    query, key, value, upstream = vectors("heads", "float32")
    with using_kernel(kernel):
        whole = differentiate(query, key, value, upstream, mask=Causal(), offset=300)
        for first in (0, 3, 149):
            rows = slice(first, first + queries)
            part = differentiate(query[:, :, rows], key, value, upstream[:, :, rows], mask=Causal(), offset=300 + first)
            np.testing.assert_array_equal(part.query, whole.query[:, :, rows])
            np.testing.assert_array_equal(part.output, whole.output[:, :, rows])


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize(
    ("normalizer", "kind", "broken", "kernel"),
    product_sample(
        5,
        [Softmax(0.7, sink=0.5), Sigmoid(), Relu(), Identity()],
        ["allowed", "bias", "range"],
        [np.nan, np.inf, -np.inf],
        KERNELS,
    ),
    ids=name_of,
)
def test_hidden_numbers_have_no_influence(normalizer, kind, broken, kernel):
    query, key, value, upstream = vectors("heads", "float32")
    hidden_keys, hidden_values = ([3, 225, 469], [4, 100, 468]) if kind != "range" else ([300, 469], [301, 468])
    allowed = np.ones(LONG, bool)
    allowed[hidden_keys + hidden_values] = False
    options = {
        "allowed": {"mask": Allowed(allowed)},
        "bias": {"bias": np.where(allowed, 0.5, -np.inf)},
        "range": {"mask": KeyLengths(np.array([300, 290]))},
    }[kind] | {"normalizer": normalizer}
    with using_kernel(kernel):
        whole = differentiate(query, key, value, upstream, **options)
        key[:, :, hidden_keys, 1], value[:, :, hidden_values, 2] = broken, broken
        found = differentiate(query, key, value, upstream, **options)
    judge_equal(whole, found)
    assert not found.key[:, :, hidden_keys].any()
    assert not found.value[:, :, hidden_values].any()


@pytest.mark.parametrize(
    ("normalizer", "broken", "place", "kernel"),
    product_sample(
        5,
        [Softmax(), Sigmoid(), Relu(), Identity()],
        [np.nan, np.inf],
        ["query", "key", "value", "output_gradient"],
        KERNELS,
    ),
    ids=name_of,
)
def test_visible_non_finite_numbers_reach_what_they_reach_with_numpy(normalizer, broken, place, kernel):
    names = ("query", "key", "value", "output_gradient")
    arrays = dict(zip(names, vectors("heads"), strict=True))
    arrays[place][:, 1, 120, 1] = broken
    options = {"mask": Causal(), "offset": 40, "normalizer": normalizer, "softcap": 2.0 if place == "key" else None}
    with using_kernel(kernel), pytest.MonkeyPatch.context() as patched:
        if place == "output_gradient":
            patched.setattr(evaluate, "differentiate_rows", lambda *_: pytest.fail("NumPy differentiates"))
        found = everything(differentiate(**arrays, **options))
    expected = everything(by_numpy(**arrays, **options))
    for name in expected:
        np.testing.assert_array_equal(np.isfinite(found[name]), np.isfinite(expected[name]), err_msg=name)
        kept = np.isfinite(expected[name])
        np.testing.assert_allclose(
            np.asarray(found[name])[kept], np.asarray(expected[name])[kept], rtol=1e-9, atol=1e-11, err_msg=name
        )


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_proportions_of_zeros_have_no_slope(kernel):
    query, key, value, upstream = vectors("heads")
    with using_kernel(kernel):
        found = differentiate(0 * query, key, value, upstream, normalizer=Proportional(), score_model=DotProduct())
    assert not found.query.any()
    assert not found.key.any()
    assert not found.value.any()


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_large_logits_keep_their_digits(kernel):
    query, key, value, upstream = vectors("heads", "float32")
    query *= 3e3
    with using_kernel(kernel):
        found = differentiate(query, key, value, upstream)
        exact = differentiate(*(array.astype("float64") for array in (query, key, value, upstream)))
    np.testing.assert_allclose(found.value, exact.value, rtol=0, atol=3e-3)


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_packed_heads_and_a_past_have_gradients(kernel):
    rng = np.random.default_rng(7)
    query, upstream = rng.standard_normal((2, 9, 12)), rng.standard_normal((2, 9, 12))
    key, value = rng.standard_normal((2, 9, 6)), rng.standard_normal((2, 9, 6))
    past = {"past_key": rng.standard_normal((2, 2, 5, 3)), "past_value": rng.standard_normal((2, 2, 5, 3))}
    with using_kernel(kernel):
        found = everything(differentiate(query, key, value, upstream, heads=Heads(4, 2), mask=Causal(), **past))
    expected = everything(by_numpy(query, key, value, upstream, heads=Heads(4, 2), mask=Causal(), **past))
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("is_safe", [True, False], ids=["by the kernel", "at last by NumPy"])
def test_progress_rises_to_the_end(is_safe, threads, kernel):
    told = []
    query, key, value, upstream = vectors("heads")
    query[1, 3, 149, 0] = 0.5 if is_safe else np.nan
    with using_kernel(kernel), Workers(threads) as workers:
        differentiate(query, key, value, upstream, workers=workers, progress=lambda *counts: told.append(counts))
    assert {total for _, total in told} == {told[-1][0]}
    assert [done for done, _ in told] == sorted({done for done, _ in told})


@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize("asked", [0, 1, 4])
def test_should_stop_ends_the_call(asked, kernel):
    arrays = [np.ones((4, 2048, 64), "float32")] * 4
    left = iter([False] * asked)
    with using_kernel(kernel), pytest.raises(Stopped):
        differentiate(*arrays, should_stop=lambda: next(left, True))


class Widened(Gaussian):
    """A score model that says how it is scored, but not how it is differentiated."""

    def pair_function(self, queries, keys, project):
        return PairFunction("squared_distance", queries, keys, -0.5)


def test_what_kernels_do_not_have_is_left_to_numpy():
    query, key, value, upstream = vectors("heads")
    resolved = resolve(AttentionCall(query, key, value, include=("output",)))
    distance = Gaussian().bind(resolved.features, resolved.dtype.compute)
    for kernel in available_kernels()[0].values():
        models = ((resolved.score_model, False), (distance, False), (Widened(), True), (ScaledDotProduct(1e-12), True))
        for model, is_left in models:
            call = replace(resolved, score_model=model)
            assert (differentiate_with_kernel(kernel, call, upstream, None, None, None) is None) == is_left
