"""Gradients at the edges: hidden numbers, NaN rows, empty axes, half types, threads, and refused calls."""

import threading
import time
from dataclasses import fields

import numpy as np
import pytest

from attention_core import (
    NORMALIZERS,
    SCORE_MODELS,
    Additive,
    Allowed,
    Causal,
    Hardmax,
    Heads,
    Identity,
    InvalidValue,
    KeyLengths,
    Laplacian,
    Relu,
    Rotary,
    ShapeMismatch,
    Softmax,
    Sparsemax,
    Stopped,
    Workers,
    attend,
    differentiate,
)
from attention_core.gradients import evaluate
from attention_core.tile_sizes import TileSizes
from tests import calls, core_calls
from tests.attention_core.gradients.judge import gradients_of, named

DIFFERENTIABLE = [name for name in NORMALIZERS if name != "hardmax"]
BROKEN = (np.nan, np.inf, -np.inf)


def vectors(*shape, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for _ in range(4)]


def model_named(name):
    rng = np.random.default_rng(2)
    parameters = calls.MODEL_PARAMETERS[name][-1](rng.standard_normal)
    return SCORE_MODELS[name](**core_calls.core_parameters(parameters))


def vars_of(model):
    """The fields of a model by name."""
    return {field.name: getattr(model, field.name) for field in fields(model)}


def equal(one, two):
    """Whether two answers are the same to the bit."""
    first, second = named(one), named(two)
    assert set(first) == set(second)
    return all(np.array_equal(first[name], second[name], equal_nan=True) for name in first)


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("normalizer", DIFFERENTIABLE)
@pytest.mark.parametrize("score_model", SCORE_MODELS)
def test_hidden_numbers_have_no_influence_on_gradients(score_model, normalizer, broken):
    rng = np.random.default_rng(3)
    query, upstream = rng.standard_normal((3, calls.FEATURES)), rng.standard_normal((3, 2))
    key, value = rng.standard_normal((5, calls.key_features(score_model))), rng.standard_normal((5, 2))
    options = {
        "score_model": model_named(score_model),
        "normalizer": NORMALIZERS[normalizer](),
        "mask": Allowed(np.array([True, True, False, True, False])),
        "bias": np.full(1, calls.LIFT if normalizer in calls.POSITIVE else 0.0),
    }
    whole = differentiate(query, key, value, upstream, **options)
    key[2], value[4] = broken, broken
    hidden = differentiate(query, key, value, upstream, **options)
    assert equal(whole, hidden)
    assert not whole.key[[2, 4]].any()
    assert not whole.value[[2, 4]].any()
    assert np.isfinite(whole.query).all()


@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("where", ["query", "key"])
@pytest.mark.parametrize("normalizer", [name for name in DIFFERENTIABLE if name != "none"])
def test_a_nan_row_makes_its_own_and_its_visible_keys_gradients_nan_and_no_others(normalizer, where, softcap):
    query, key, value, upstream = vectors(4, 3)
    arrays = {"query": query, "key": key, "value": value, "output_gradient": upstream}
    arrays[where][2, 1] = np.nan
    options = {"normalizer": NORMALIZERS[normalizer](), "bias": np.full(1, calls.LIFT), "softcap": softcap}
    found = differentiate(**arrays, mask=Causal(), **options)
    rows = [2, 3] if where == "key" else [2]
    assert [i for i in range(4) if np.isnan(found.query[i]).any()] == rows
    for gradient in (found.key, found.value):
        assert [j for j in range(4) if np.isnan(gradient[j]).any()] == list(range(max(rows) + 1))


def test_what_a_bias_hides_stays_hidden_beside_what_a_mask_cuts(monkeypatch):
    monkeypatch.setattr(evaluate, "choose_backward_tile_sizes", lambda call: TileSizes(2, 2))
    query, key, value, upstream = vectors(8, 3)
    bias = np.zeros((8, 8))
    bias[:, 1] = -np.inf
    whole = differentiate(query, key, value, upstream, mask=Causal(), bias=bias)
    value[1] = np.nan
    assert equal(whole, differentiate(query, key, value, upstream, mask=Causal(), bias=bias))
    assert not whole.bias[:, 1].any()


def test_a_query_that_stands_elsewhere_in_each_batch_row_gets_the_sum_of_what_it_gets_there():
    query, key, value, upstream = vectors(2, 3, 4)
    options = {"position": Rotary(), "offset": np.array([0, 2])}
    shared = differentiate(query[0], key, value, upstream, **options)
    apart = differentiate(np.stack([query[0]] * 2), key, value, upstream, **options)
    assert shared.query.shape == (3, 4)
    np.testing.assert_allclose(shared.query, apart.query.sum(axis=0), rtol=0, atol=1e-15)


@pytest.mark.parametrize("where", ["query", "key", "value", "output_gradient"])
def test_a_broken_number_reaches_its_rows_and_the_keys_that_they_see_and_no_others(where):
    query, key, value, upstream = vectors(4, 3)
    arrays = {"query": query, "key": key, "value": value, "output_gradient": upstream}
    arrays[where][2, 1] = np.nan
    found = differentiate(**arrays, mask=Causal())
    # Key 2 is seen by queries 2 and 3; query 2 sees keys 0 to 2.
    rows = [2, 3] if where in ("key", "value") else [2]
    keys = range(max(rows) + 1)
    assert [i for i in range(4) if np.isnan(found.query[i]).any()] == rows
    assert [j for j in range(4) if np.isnan(found.key[j]).any()] == list(keys)
    if where == "value":
        assert np.isfinite(found.value).all()
    else:
        assert [j for j in range(4) if np.isnan(found.value[j]).any()] == list(keys)


def test_a_normalizer_that_propagates_non_finite_numbers_has_the_other_gradients():
    query, key, value, upstream = vectors(4, 3)
    key[1] = np.inf
    found = differentiate(query, key, value, upstream, normalizer=Identity(), mask=Allowed(np.eye(4, dtype=bool)))
    plain = differentiate(
        query, np.where(np.isfinite(key), key, 0), value, upstream, normalizer=Identity(),
        mask=Allowed(np.eye(4, dtype=bool)),
    )  # fmt: skip
    # A call with an infinite logit is NumPy's, and rounds otherwise than a kernel.
    np.testing.assert_allclose(found.key, plain.key, rtol=1e-14)
    np.testing.assert_allclose(np.delete(found.value, 1, axis=0), np.delete(plain.value, 1, axis=0), rtol=1e-14)


@pytest.mark.parametrize("normalizer", DIFFERENTIABLE)
def test_a_row_that_sees_nothing_has_an_output_and_gradients_of_zeros(normalizer):
    query, key, value, upstream = vectors(2, 3, 4)
    found = differentiate(
        query, key, value, upstream, mask=KeyLengths(np.array([0, 2])), normalizer=NORMALIZERS[normalizer](),
        bias=np.full(1, 50.0),
    )  # fmt: skip
    for array in (found.output, found.query, found.key, found.value):
        assert not array[0].any()
        assert np.isfinite(array).all()


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3)])
@pytest.mark.parametrize("score_model", SCORE_MODELS)
def test_without_queries_or_without_batch_rows_everything_is_zero(score_model, shape):
    model = model_named(score_model)
    query = np.ones((*shape[:-1], calls.FEATURES))
    key, value = np.ones((shape[0], 4, calls.key_features(score_model))), np.ones((shape[0], 4, 2))
    found = differentiate(query, key, value, np.ones((*shape[:-1], 2)), score_model=model)
    assert found.output.shape == (*shape[:-1], 2)
    assert not any(array.any() for array in named(found).values())
    values = model.parameters if calls.is_written(score_model) else vars_of(model)
    expected = {name for name, value in values.items() if value is not None}
    assert expected <= set(found.score_model)


def test_without_keys_the_output_is_zeros_and_so_is_the_gradient():
    found = differentiate(np.ones((2, 3)), np.ones((0, 3)), np.ones((0, 4)), np.ones((2, 4)))
    assert found.query.shape == (2, 3)
    assert not found.output.any()
    assert not found.query.any()
    assert found.key.shape == (0, 3)


def test_at_a_kink_the_slope_is_zero():
    same = differentiate([[1.0]], [[1.0]], [[2.0]], [[1.0]], score_model=Laplacian(), normalizer=Identity())
    assert (same.query, same.key) == (0.0, 0.0)
    flat = differentiate([[0.0]], [[1.0]], [[2.0]], [[1.0]], normalizer=Relu())
    assert not flat.query.any()
    dropped = differentiate([[1.0]], [[2.0], [1.0]], [[2.0], [3.0]], [[1.0]], normalizer=Sparsemax())
    assert not dropped.query.any()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("options", [{}, {"mask": Causal(), "softcap": 2.0}, {"position": Rotary()}], ids=str)
def test_a_narrow_type_rounds_the_inputs_and_the_results_and_little_else(dtype, options):
    arrays = vectors(2, 2, 33, 8)
    found = differentiate(*arrays, dtype=dtype, **options)
    # The same numbers in float64: the rounding of the inputs is not judged.
    rounded = [np.asarray(attend(np.zeros((1, 1)), np.zeros((1, 1)), a.reshape(1, -1), dtype=dtype, include=("output",))
                          .output, float).reshape(a.shape) for a in arrays]  # fmt: skip
    exact = named(differentiate(*rounded, **options))
    step = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]
    for name, array in named(found).items():
        scale = np.abs(exact[name]).max()
        np.testing.assert_allclose(array, exact[name], rtol=step, atol=200 * 2.0**-24 * scale, err_msg=name)
    assert found.query.dtype == {"float32": "f4", "float16": "f2", "bfloat16": "f4"}[dtype]
    assert found.score_model["scale"].dtype == np.float32


@pytest.fixture
def _small(monkeypatch):
    monkeypatch.setattr(evaluate, "choose_backward_tile_sizes", lambda call: TileSizes(3, 4, 2))


COMBINATION = calls.Combination("additive", "softmax", "everything", "grouped", "float64")


@pytest.mark.usefixtures("_small")
def test_the_result_does_not_depend_on_the_number_of_threads():
    query, key, value, upstream = vectors(2, 3, 40, 5)
    key, value = key[:, :1], value[:, :1]
    one = differentiate(query, key, value, upstream, mask=Causal(), bias=np.ones((40, 40)))
    for threads in (2, 3):
        with Workers(threads) as workers:
            for _ in range(5):
                again = differentiate(
                    query, key, value, upstream, mask=Causal(), bias=np.ones((40, 40)), workers=workers
                )
                assert equal(one, again)


@pytest.mark.usefixtures("_small", "numpy_path")
@pytest.mark.parametrize("threads", [1, 2])
def test_progress_counts_tiles_and_should_stop_ends_at_every_call(threads):
    arrays = vectors(3, 10, 4)
    told, asked = [], []
    with Workers(threads) as workers:

        def run(should_stop, progress=None):
            return differentiate(*arrays, workers=workers, should_stop=should_stop, progress=progress)

        run(lambda: asked.append(0) is not None, lambda *counts: told.append(counts))
        assert told == [(n + 1, len(told)) for n in range(len(told))]
        assert len(asked) == len(told) == 2 * 4
        for stop_at in range(len(asked)):
            left = iter([False] * stop_at)
            with pytest.raises(Stopped):
                run(lambda left=left: next(left, True))


def test_hardmax_is_refused_before_anything_is_computed():
    arrays = vectors(4, 3)
    with pytest.raises(InvalidValue, match="normalizer: expected a normalizer that can be differentiated") as caught:
        differentiate(*arrays, normalizer=Hardmax(), should_stop=lambda: pytest.fail("something was computed"))
    assert caught.value.path == ("normalizer",)


@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (1, 4, 3), (3,), (1,)], ids=str)
def test_the_gradient_of_the_output_has_its_shape(shape):
    query, key, value, _ = vectors(4, 3)
    with pytest.raises(ShapeMismatch, match=r"output_gradient: expected the shape of the output, \[4, 3\]") as caught:
        differentiate(query, key, value, np.ones(shape))
    assert caught.value.path == ("output_gradient",)


def test_packed_heads_come_and_go_packed():
    query, key, value, upstream = vectors(2, 5, 6)
    options = {"heads": Heads(2, 2), "mask": Causal()}
    packed = differentiate(query, key, value, upstream, **options)
    apart = [array.reshape(2, 5, 2, 3).swapaxes(1, 2) for array in (query, key, value, upstream)]
    unpacked = differentiate(*apart, mask=Causal())
    for name in ("output", "query", "key", "value"):
        expected = getattr(unpacked, name).swapaxes(1, 2).reshape(2, 5, 6)
        np.testing.assert_array_equal(getattr(packed, name), expected)
    with pytest.raises(ShapeMismatch, match=r"expected the shape of the output, \[2, 5, 6\]"):
        differentiate(query, key, value, apart[3], **options)


def test_the_output_is_that_of_attend():
    query, key, value, upstream = vectors(2, 3, 40, 5)
    for options in ({}, {"mask": Causal(), "softcap": 1.5}, {"normalizer": Softmax(0.5, sink=1.0)}):
        found = differentiate(query, key, value, upstream, **options)
        expected = attend(query, key, value, include=("output",), **options).output
        np.testing.assert_allclose(found.output, expected, rtol=0, atol=1e-14)


def test_nothing_that_was_sent_is_changed():
    request = COMBINATION.request()
    call = core_calls.core_call(request)
    before = [np.copy(getattr(call, name)) for name in ("query", "key", "value", "bias")]
    arrays = [call.query, call.key, call.value]
    upstream = np.ones(attend(*arrays, score_model=call.score_model, include=("output",)).output.shape)
    kept = upstream.copy()
    differentiate(*arrays, upstream, score_model=call.score_model, bias=call.bias, mask=call.mask, softcap=2.0)
    for array, copy in zip([*arrays, call.bias], before, strict=True):
        np.testing.assert_array_equal(array, copy)
    np.testing.assert_array_equal(upstream, kept)


def test_a_broken_weight_of_one_head_stays_in_it():
    rng = np.random.default_rng(4)
    model = Additive(*(rng.standard_normal(shape) for shape in ((2, 3, 4), (2, 3, 4), (2, 3))))
    model.query_weight[1, 0, 0] = np.nan
    query, key, value, upstream = vectors(1, 2, 5, 4)
    found = differentiate(query, key, value, upstream, score_model=model)
    assert np.isfinite(found.query[:, 0]).all()
    assert np.isnan(found.query[:, 1]).all()
    assert np.isfinite(found.score_model["key_weight"][0]).all()


def test_a_request_of_everything_has_a_gradient_for_everything_sent():
    request = COMBINATION.request()
    output = attend_output(request)
    gradients = named(gradients_of(request, np.ones(output.shape)))
    assert {"query", "key", "value", "bias", "score_model.query_weight", "normalizer.temperature"} <= set(gradients)
    assert gradients["bias"].shape == np.shape(core_calls.with_infinities(request["bias"]))


def attend_output(request):
    call = core_calls.core_call(request)
    return attend(call.query, call.key, call.value, score_model=call.score_model, include=("output",)).output


@pytest.mark.usefixtures("_small", "numpy_path")
def test_few_partial_gradients_wait_for_a_slow_thread(monkeypatch):
    """The first task ends after the others could all have ended; those that wait for it are as many as threads."""
    kept, first = [], threading.Event()
    compute, accumulate = evaluate.differentiate_rows, evaluate.GradientAccumulator.accumulate_in_order

    def slowly(*arguments):
        if not first.is_set():
            first.set()
            time.sleep(0.2)
        return compute(*arguments)

    def watched(accumulator, *arguments):
        accumulate(accumulator, *arguments)
        kept.append(len(accumulator._pending))

    monkeypatch.setattr(evaluate, "differentiate_rows", slowly)
    monkeypatch.setattr(evaluate.GradientAccumulator, "accumulate_in_order", watched)
    arrays = vectors(3, 40, 4)
    with Workers(3) as workers:
        found = differentiate(*arrays, workers=workers)
    assert max(kept) <= 3
    assert equal(found, differentiate(*arrays))
