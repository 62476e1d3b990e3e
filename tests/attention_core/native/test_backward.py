"""The backward pass of every kernel beside NumPy's and the oracle's slopes, its bits, and what it lets through."""

from dataclasses import replace

import numpy as np
import pytest

from attention_core import (
    Alibi,
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
    Rotary,
    ScaledDotProduct,
    Segments,
    Sigmoid,
    Softmax,
    Stopped,
    Window,
    Workers,
    differentiate,
    resolve,
)
from attention_core.gradients import evaluate
from attention_core.gradients.backward import differentiate_rows
from attention_core.native import available_kernels, differentiate_with_kernel, using_kernel
from tests import calls
from tests.attention_core.gradients.judge import assert_gradients, named
from tests.sampling import product_sample

KERNELS = list(available_kernels()[0])
NORMALIZERS = ("softmax", "sigmoid", "relu", "none", "proportional")
SAMPLED_ONE_IN = 24
"""Combinations of settings and heads for each that is tried."""

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


@pytest.fixture
def _no_numpy(monkeypatch):
    monkeypatch.setattr(evaluate, "differentiate_rows", lambda *_: pytest.fail("NumPy differentiates"))


def by_numpy(*arrays, **options):
    with using_kernel("numpy"), pytest.MonkeyPatch.context() as patched:
        patched.setattr(evaluate, "differentiate_rows", differentiate_rows)
        return differentiate(*arrays, **options)


@pytest.mark.usefixtures("_no_numpy")
@pytest.mark.parametrize(("option", "layout", "kernel"), product_sample(1, OPTIONS, LAYOUTS, KERNELS))
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


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("score_model", ["dot_product", "scaled_dot_product"])
def test_gradients_are_slopes_of_the_oracle(score_model, normalizer, kernel):
    kind = (score_model, normalizer, "float64")
    chosen = [one for one in calls.combinations() if (one.score_model, one.normalizer, one.dtype) == kind]
    first = NORMALIZERS.index(normalizer) + KERNELS.index(kernel)
    with using_kernel(kernel):
        for one in chosen[first::SAMPLED_ONE_IN]:
            assert_gradients(one.request(), one.seed)


@pytest.mark.usefixtures("_no_numpy")
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("option", ["plain", "temperature, sinks", "causal", "bias of pairs for all", "sigmoid"])
def test_bits_do_not_depend_on_the_number_of_threads(option, kernel):
    arrays = vectors("grouped heads", "float32")
    with using_kernel(kernel):
        alone = differentiate(*arrays, **OPTIONS[option])
        for threads in (2, 3, 4):
            with Workers(threads) as workers:
                for _ in range(2):
                    judge_equal(alone, differentiate(*arrays, workers=workers, **OPTIONS[option]))


@pytest.mark.usefixtures("_no_numpy")
@pytest.mark.parametrize("kernel", KERNELS)
def test_bits_of_a_batch_row_are_those_of_the_row_alone(kernel):
    arrays = vectors("grouped heads", "float32")
    options = {"mask": Causal(), "offset": 250, "softcap": 3.0}
    with using_kernel(kernel):
        together = everything(differentiate(*arrays, **options))
        for row in range(2):
            alone = everything(differentiate(*(array[row : row + 1] for array in arrays), **options))
            for name in ("output", "query", "key", "value"):
                np.testing.assert_array_equal(together[name][row : row + 1], alone[name], err_msg=name)


@pytest.mark.usefixtures("_no_numpy")
@pytest.mark.parametrize("kernel", KERNELS)
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


@pytest.mark.usefixtures("_no_numpy")
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["allowed", "bias", "range"])
@pytest.mark.parametrize("normalizer", [Softmax(0.7, sink=0.5), Sigmoid(), Relu(), Identity()], ids=lambda n: n.name)
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


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("place", ["query", "key", "value", "output_gradient"])
@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize("normalizer", [Softmax(), Sigmoid(), Relu(), Identity()], ids=lambda n: n.name)
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


@pytest.mark.usefixtures("_no_numpy")
@pytest.mark.parametrize("kernel", KERNELS)
def test_proportions_of_zeros_have_no_slope(kernel):
    query, key, value, upstream = vectors("heads")
    with using_kernel(kernel):
        found = differentiate(0 * query, key, value, upstream, normalizer=Proportional(), score_model=DotProduct())
    assert not found.query.any()
    assert not found.key.any()
    assert not found.value.any()


@pytest.mark.usefixtures("_no_numpy")
@pytest.mark.parametrize("kernel", KERNELS)
def test_large_logits_keep_their_digits(kernel):
    query, key, value, upstream = vectors("heads", "float32")
    query *= 3e3
    with using_kernel(kernel):
        found = differentiate(query, key, value, upstream)
        exact = differentiate(*(array.astype("float64") for array in (query, key, value, upstream)))
    np.testing.assert_allclose(found.value, exact.value, rtol=0, atol=3e-3)


@pytest.mark.usefixtures("_no_numpy")
@pytest.mark.parametrize("kernel", KERNELS)
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


@pytest.mark.parametrize("kernel", KERNELS)
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


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("asked", [0, 1, 4])
def test_should_stop_ends_the_call(asked, kernel):
    arrays = [np.ones((4, 2048, 64), "float32")] * 4
    left = iter([False] * asked)
    with using_kernel(kernel), pytest.raises(Stopped):
        differentiate(*arrays, should_stop=lambda: next(left, True))


def test_what_kernels_do_not_have_is_left_to_numpy():
    query, key, value, upstream = vectors("heads")
    resolved = resolve(AttentionCall(query, key, value, include=("output",)))
    distance = Gaussian().bind(resolved.features, resolved.dtype.compute)
    for kernel in available_kernels()[0].values():
        for model, is_left in ((resolved.score_model, False), (distance, True), (ScaledDotProduct(1e-12), True)):
            call = replace(resolved, score_model=model)
            assert (differentiate_with_kernel(kernel, call, upstream, None, None, None) is None) == is_left
