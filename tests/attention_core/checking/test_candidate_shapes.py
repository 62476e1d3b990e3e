"""Errors about a candidate of another shape, and their advice."""

import time

import numpy as np
import pytest

from attention_core.checking.candidate_shapes import check_shape
from attention_core.errors import ShapeMismatch

# Expected (B, H, L, D) = (2, 3, 5, 7) unless said otherwise.
CASES = [
    ((2, 5, 3, 7), (2, 3, 5, 7), "transpose them to the order [0, 2, 1, 3]"),
    ((2, 2, 3, 4), (2, 3, 2, 4), "transpose them to the order [0, 2, 1, 3]"),
    ((5, 2, 3, 7), (2, 3, 5, 7), "transpose them to the order [1, 2, 0, 3]"),
    ((2, 3, 7, 5), (2, 3, 5, 7), "transpose them to the order [0, 1, 3, 2]"),
    ((2, 5, 21), (2, 3, 5, 7), "reshape it to [2, 5, 3, 7], then transpose to the order [0, 2, 1, 3]"),
    ((2, 3, 5, 7), (2, 5, 21), "transpose it to the order [0, 2, 1, 3], then reshape to [2, 5, 21]"),
    ((6, 5, 7), (2, 3, 5, 7), "reshape it to [2, 3, 5, 7]"),
    ((2, 3, 1, 5, 7), (6, 5, 7), "reshape it to [6, 5, 7]"),
    ((5, 7), (1, 5, 7), "reshape it to [1, 5, 7]"),
    ((2, 5, 1), (2, 5), "reshape it to [2, 5]"),
    ((5, 7), (2, 5, 7), "The leading axes [2] are missing"),
    ((5, 7), (2, 3, 5, 7), "The leading axes [2, 3] are missing"),
    ((2, 3, 4, 7), (2, 3, 5, 7), "one row for each query"),
]


@pytest.mark.parametrize(("received", "expected", "advice"), CASES)
def test_the_advice_says_what_to_do(received, expected, advice):
    with pytest.raises(ShapeMismatch) as raised:
        check_shape("output", received, expected)
    assert raised.value.path == ("candidate", "output")
    assert str(list(expected)) in raised.value.expected
    assert str(list(received)) in raised.value.received
    assert advice in raised.value.advice


@pytest.mark.parametrize(("received", "expected", "advice"), [case for case in CASES if "order" in case[2]])
def test_the_advice_leads_to_the_right_shape(received, expected, advice):
    """Follow it literally."""
    array = np.zeros(received)
    for word in advice.replace("], ", "]|").split("|"):
        numbers = [int(number) for number in word[word.index("[") + 1 : word.index("]")].split(",")]
        array = array.reshape(numbers) if "reshape" in word else array.transpose(numbers)
    assert array.shape == expected


def test_many_axes_take_no_time():
    started = time.thread_time()
    with pytest.raises(ShapeMismatch, match="candidate"):
        check_shape("weights", (3, *(2,) * 25), (*(2,) * 25, 3))
    assert time.thread_time() - started < 1


def test_weights_without_an_axis_of_heads_look_averaged():
    for received, averaged in (((2, 5, 7), True), ((3, 5, 7), False), ((2, 5, 1, 7), False)):
        with pytest.raises(ShapeMismatch) as caught:
            check_shape("weights", received, (2, 3, 5, 7))
        assert ("averaged over the heads" in str(caught.value)) == averaged
        assert "mean_weights" in str(caught.value) or not averaged


def test_equal_shapes_pass():
    check_shape("weights", (2, 3), (2, 3))
