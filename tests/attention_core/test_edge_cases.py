"""Every row of the contract's table of edge cases, and the errors of `attend` about invalid calls."""

import math

import numpy as np
import pytest

from attention_core import (
    NORMALIZERS,
    Additive,
    Allowed,
    CallError,
    Causal,
    DotProduct,
    InvalidValue,
    Proportional,
    ShapeMismatch,
    Softmax,
    UnknownName,
    attend,
)

QUERY = np.array([[1.0, 0.5], [0.25, 2.0], [1.5, 1.0]])
KEY = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [2.0, 1.0]])
VALUE = np.array([[1.0], [2.0], [3.0], [4.0]])
NORMALIZER_NAMES = sorted(NORMALIZERS)


@pytest.mark.parametrize("name", NORMALIZER_NAMES)
def test_a_row_without_a_visible_key_is_zero_and_is_named(name):
    allowed = np.array([[True] * 4, [False] * 4, [True] * 4])
    result = attend(QUERY, KEY, VALUE, mask=Allowed(allowed), normalizer=NORMALIZERS[name]())
    assert result.weights[1].tolist() == [0, 0, 0, 0]
    assert result.output[1].tolist() == [0]
    assert result.notes == ("row 1: no visible key; weights and output are zero",)
    untouched = attend(QUERY, KEY, VALUE, normalizer=NORMALIZERS[name]())
    np.testing.assert_array_equal(result.weights[[0, 2]], untouched.weights[[0, 2]])
    np.testing.assert_array_equal(result.output[[0, 2]], untouched.output[[0, 2]])


def test_a_row_without_a_visible_key_has_a_logsumexp_of_minus_infinity():
    result = attend(QUERY, KEY, bias=np.full((3, 4), -np.inf), include=("logsumexp", "logits"))
    assert np.isneginf(result.logsumexp).all()
    assert np.isneginf(result.logits).all()


@pytest.mark.parametrize("name", NORMALIZER_NAMES)
def test_no_keys_at_all(name):
    result = attend(QUERY, KEY[:0], VALUE[:0], normalizer=NORMALIZERS[name]())
    assert result.weights.shape == (3, 0)
    assert result.output.tolist() == [[0], [0], [0]]
    assert len(result.notes) == 3


@pytest.mark.parametrize("name", NORMALIZER_NAMES)
def test_no_queries_at_all(name):
    result = attend(QUERY[:0], KEY, VALUE, normalizer=NORMALIZERS[name]())
    assert result.weights.shape == (0, 4)
    assert result.output.shape == (0, 1)
    assert result.notes == ()


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", NORMALIZER_NAMES)
def test_a_hidden_key_has_no_influence_even_if_it_is_nan(name, poison):
    key, value = KEY.copy(), VALUE.copy()
    key[1], value[1] = poison, poison
    mask = Allowed(np.array([True, False, True, True]))
    kept = [0, 2, 3]
    result = attend(QUERY, key, value, mask=mask, normalizer=NORMALIZERS[name]())
    expected = attend(QUERY, KEY[kept], VALUE[kept], normalizer=NORMALIZERS[name]())
    np.testing.assert_allclose(result.weights[:, kept], expected.weights, rtol=0, atol=1e-15)
    np.testing.assert_allclose(result.output, expected.output, rtol=0, atol=1e-15)
    assert result.weights[:, 1].tolist() == [0, 0, 0]
    assert result.notes == ()


def test_a_nan_key_hidden_from_one_query_makes_only_the_others_nan():
    value = VALUE.copy()
    value[3] = math.nan
    result = attend(QUERY, KEY, value, mask=Causal())
    expected = attend(QUERY, KEY, VALUE, mask=Causal())
    np.testing.assert_array_equal(result.output, expected.output)
    seen_by_last = attend(QUERY, KEY, value, mask=Causal(), offset=1)
    assert np.isfinite(seen_by_last.output[:2]).all()
    assert np.isnan(seen_by_last.output[2]).all()


def test_infinite_values_of_visible_keys_behave_as_arithmetic_says():
    value = np.array([[1.0, 1.0], [math.inf, 1.0], [-math.inf, 1.0], [1.0, 1.0]])
    both = attend(QUERY, KEY, value).output
    assert np.isnan(both[:, 0]).all()
    np.testing.assert_allclose(both[:, 1], 1, rtol=0, atol=1e-15)
    assert np.isposinf(attend(QUERY, KEY[:2], value[:2]).output[:, 0]).all()


@pytest.mark.parametrize("poison", [math.nan, math.inf])
@pytest.mark.parametrize("name", [name for name in NORMALIZER_NAMES if name != "none"])
def test_a_non_finite_logit_makes_its_row_and_no_other_nan(name, poison):
    bias = np.zeros((3, 4))
    bias[1, 2] = poison
    result = attend(QUERY, KEY, VALUE, bias=bias, normalizer=NORMALIZERS[name]())
    expected = attend(QUERY, KEY, VALUE, normalizer=NORMALIZERS[name]())
    assert np.isnan(result.weights[1]).all()
    assert np.isnan(result.output[1]).all()
    np.testing.assert_array_equal(result.weights[[0, 2]], expected.weights[[0, 2]])
    assert result.notes == ("row 1: NaN or +infinity among the visible logits; weights and output are NaN",)


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_the_normalizer_none_keeps_a_non_finite_logit_in_its_place(poison):
    bias = np.zeros((3, 4))
    bias[1, 2] = poison
    result = attend(QUERY, KEY, bias=bias, normalizer=NORMALIZERS["none"]())
    assert np.isfinite(result.weights).sum() == 11
    assert not np.isfinite(result.weights[1, 2])
    assert result.notes == ("row 1: NaN or +infinity among the visible logits",)


def test_a_hidden_key_has_weight_zero_even_in_a_nan_row():
    bias = np.array([[math.nan, 0, -math.inf, 0]])
    weights = attend(QUERY[:1], KEY, bias=bias).weights
    assert np.isnan(weights[0, [0, 1, 3]]).all()
    assert weights[0, 2] == 0


@pytest.mark.parametrize("scores", [[1000.0, 999.0], [1e30, -1e30], [1e308, 1e308], [-1e308, -1e308]])
def test_huge_finite_scores_never_overflow_the_softmax(scores):
    weights = attend([[1.0]], np.array(scores)[:, None], score_model=DotProduct()).weights[0]
    difference = max(scores) - np.array(scores)
    expected = np.exp(-difference) / np.exp(-difference).sum()
    np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-15)


def test_a_bias_of_minus_infinity_hides_a_key_with_any_score():
    key = KEY.copy()
    key[0] = math.inf
    hidden = attend(QUERY, key, VALUE, bias=np.array([-math.inf, 0, 0, 0]))
    np.testing.assert_allclose(hidden.output, attend(QUERY, KEY[1:], VALUE[1:]).output, rtol=0, atol=1e-15)


def test_more_than_twenty_odd_rows_are_counted():
    result = attend(np.ones((25, 1)), np.ones((2, 1)), mask=Allowed(np.zeros((1, 2), bool)))
    assert len(result.notes) == 21
    assert result.notes[0] == "row 0: no visible key; weights and output are zero"
    assert result.notes[20] == "and 5 more"


def test_rows_of_higher_rank_are_named_with_every_index():
    allowed = np.ones((2, 3, 4), bool)
    allowed[1, 2] = False
    query, key = np.broadcast_to(QUERY, (2, 3, 2)), np.broadcast_to(KEY, (2, 4, 2))
    assert attend(query, key, mask=Allowed(allowed)).notes == (
        "row [1, 2]: no visible key; weights and output are zero",
    )


def test_integers_are_numbers_like_any_other():
    assert attend([[1, 2]], [[3, 4]], [[5]]).output.tolist() == [[5.0]]


def test_float32_stays_float32_and_mixed_inputs_become_float64():
    single = QUERY.astype(np.float32)
    assert attend(single, KEY.astype(np.float32)).weights.dtype == np.float32
    assert attend(single, KEY).weights.dtype == np.float64
    assert attend(QUERY, KEY, dtype="float32").weights.dtype == np.float32


def test_a_number_that_overflows_its_dtype_is_named():
    key = KEY.copy()
    key[2, 1] = 1e39
    with pytest.raises(InvalidValue, match=r"key\[2\]\[1\]: expected a number within the range of float32"):
        attend(QUERY, key, dtype="float32")


WRONG = {
    "rank of query": (lambda: attend([1.0], KEY), ShapeMismatch, "query"),
    "rank of key": (lambda: attend(QUERY, 3.0), ShapeMismatch, "key"),
    "rank of value": (lambda: attend(QUERY, KEY, [1.0, 2, 3, 4]), ShapeMismatch, "value"),
    "features": (lambda: attend(QUERY, KEY[:, :1]), ShapeMismatch, "key"),
    "no features": (lambda: attend(QUERY[:, :0], KEY[:, :0]), ShapeMismatch, "query"),
    "values per key": (lambda: attend(QUERY, KEY, VALUE[:3]), ShapeMismatch, "value"),
    "leading axes": (lambda: attend(np.ones((2, 3, 2)), np.ones((3, 4, 2))), ShapeMismatch, "key"),
    "leading axes of value": (lambda: attend(np.ones((2, 3, 2)), KEY, np.ones((3, 4, 1))), ShapeMismatch, "value"),
    "bias": (lambda: attend(QUERY, KEY, bias=np.ones((3, 5))), ShapeMismatch, "bias"),
    "allowed": (lambda: attend(QUERY, KEY, mask=Allowed(np.ones(3, bool))), ShapeMismatch, "mask.allowed"),
    "dtype": (lambda: attend(QUERY, KEY, dtype="float31"), UnknownName, "dtype"),
    "include": (lambda: attend(QUERY, KEY, include=("weight",)), UnknownName, r"include[0]"),
    "output without value": (lambda: attend(QUERY, KEY, include=("output",)), InvalidValue, r"include[0]"),
    "temperature": (lambda: attend(QUERY, KEY, normalizer=Softmax(0)), InvalidValue, "normalizer.temperature"),
    "negative logits": (lambda: attend(-QUERY, KEY, normalizer=Proportional()), InvalidValue, "normalizer"),
    "logsumexp": (
        lambda: attend(QUERY, KEY, normalizer=Proportional(), include=("logsumexp",)),
        InvalidValue,
        r"include[0]",
    ),
    "parameter": (
        lambda: attend(QUERY, KEY, score_model=Additive(np.ones((2, 9)), np.ones((2, 2)), np.ones(2))),
        ShapeMismatch,
        "score_model.query_weight",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_says_what_was_expected_what_came_and_what_to_change(name):
    call, kind, argument = WRONG[name]
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, CallError)
    assert isinstance(caught.value, ValueError)
    assert caught.value.argument == argument
    assert caught.value.expected
    assert caught.value.received
    assert caught.value.advice.endswith((".", "?"))


def test_a_field_that_was_not_included_says_how_to_include_it():
    result = attend(QUERY, KEY, include=("weights",))
    with pytest.raises(AttributeError, match="logits was not included; add logits to include"):
        _ = result.logits
