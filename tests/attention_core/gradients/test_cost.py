"""Predicted cost of gradients: the size of the result exactly, operations and memory in proportion."""

import numpy as np
import pytest

from attention_core import (
    NORMALIZERS,
    AttentionCall,
    Gaussian,
    InvalidValue,
    ScoreModifier,
    UnknownName,
    evaluate_gradients,
    predict,
    predict_gradients,
    resolve,
    resolve_gradients,
)
from attention_core.call import GRADIENT_FIELDS
from tests import calls, core_calls
from tests.attention_core.gradients.judge import named
from tests.sampling import every

COMBINATIONS = [
    one
    for one in calls.combinations()
    if one.setting in ("none", "bias", "bias, shared") and one.dtype == "float64" and one.normalizer != "hardmax"
]


def sizes_of(found):
    """Numbers of each field of a result; the parameters of a model count together."""
    sizes = {"output": found.output.size}
    for name, array in named(found).items():
        field = name.partition(".")[0]
        sizes[field] = sizes.get(field, 0) + array.size
    return sizes


@pytest.mark.parametrize("combination", every(40, COMBINATIONS), ids=str)
def test_the_size_of_every_result_is_predicted_exactly(combination):
    call = core_calls.core_call(combination.request())
    resolved = resolve_gradients(call, np.float64(1))
    sizes = sizes_of(evaluate_gradients(resolved))
    assert predict_gradients(resolved).result_numbers == sum(sizes.values())
    for name in resolved.sizes:
        chosen = resolve_gradients(call, np.float64(1), (name,))
        assert predict_gradients(chosen).result_numbers == sizes.get(name, 0), name


def long(queries=4096, keys=4096, **options):
    """A long call that holds no numbers of its own."""
    query, key = (np.broadcast_to(np.float32(1), (1, 2, length, 64)) for length in (queries, keys))
    return AttentionCall(query, key, key, **options)


def test_operations_are_some_times_those_of_the_forward_pass():
    for call in (long(include=("output",)), long(include=("output",), normalizer=NORMALIZERS["entmax"]())):
        forward = predict(resolve(call)).operations
        assert 2.5 * forward <= predict_gradients(resolve_gradients(call, np.float32(1))).operations <= 4 * forward


def test_distances_cost_more_than_products_on_the_way_back():
    call = long(include=("output",), score_model=Gaussian())
    forward = predict(resolve(call)).operations
    assert predict_gradients(resolve_gradients(call, np.float32(1))).operations > 5 * forward


def test_many_threads_hold_no_more_than_fits():
    call = resolve_gradients(long(8192, 8192, score_model=Gaussian(), dtype="float64"), np.float64(1))
    many, few = (predict_gradients(call, threads=threads).bytes for threads in (64, 4))
    assert many <= 1.25 * few < 2**28


def test_memory_does_not_grow_with_the_pairs():
    for normalizer in ("softmax", "entmax"):
        options = {"normalizer": NORMALIZERS[normalizer]()}
        short = predict_gradients(resolve_gradients(long(**options), np.float32(1)))
        twice = predict_gradients(resolve_gradients(long(8192, 8192, **options), np.float32(1)))
        assert twice.bytes <= 2 * short.bytes
        assert twice.bytes < 2 * 8192 * 8192 * 4


def test_each_thread_holds_rows_of_its_own():
    call = resolve_gradients(long(normalizer=NORMALIZERS["entmax"]()), np.float32(1))
    assert predict_gradients(call, threads=4).bytes > 1.5 * predict_gradients(call).bytes
    one_row = resolve_gradients(long(1, 3), np.float32(1))
    assert predict_gradients(one_row, threads=64).bytes <= 2 * predict_gradients(one_row).bytes


def test_a_call_too_large_to_compute_is_predicted_at_once():
    huge = np.broadcast_to(np.float64(1), (10**6, 1))
    call = resolve_gradients(AttentionCall(query=huge, key=huge, value=huge), np.float64(1))
    assert predict_gradients(call).operations >= 10**13


@pytest.mark.parametrize(
    ("include", "error", "path"),
    [
        (("query", "weights"), UnknownName, ("include", 1)),
        (("query", "key", "query"), InvalidValue, ("include", 2)),
        (("past_key",), InvalidValue, ("include", 0)),
        (("output", "bias"), InvalidValue, ("include", 1)),
    ],
)
def test_fields_that_a_call_does_not_have_are_refused(include, error, path):
    with pytest.raises(error) as caught:
        resolve_gradients(long(8, 8), np.float32(1), include)
    assert caught.value.path == path


def test_without_values_there_is_no_gradient():
    query = np.ones((2, 3))
    with pytest.raises(InvalidValue) as caught:
        resolve_gradients(AttentionCall(query, query), np.float64(1))
    assert caught.value.path == ("value",)


def test_the_default_are_all_fields_that_a_call_has():
    call = long(8, 8, bias=np.zeros(8), score_modifier=ScoreModifier("score * 2"))
    assert resolve_gradients(call, np.float32(1)).include == {*GRADIENT_FIELDS} - {"past_key", "past_value"}
    assert resolve_gradients(long(8, 8), np.float32(1)).include == {
        *("output", "query", "key", "value", "score_model", "normalizer")
    }
