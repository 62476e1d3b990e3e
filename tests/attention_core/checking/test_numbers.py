"""Errors, correlation and ulps of a check, against the same computed bit by bit in plain Python."""

import math
import random

import numpy as np
import pytest

from attention_core.differences import Tolerance, compare_field
from attention_core.dtypes import DTYPES
from tests.attention_core.checking.numbers_apart import FORMATS, apart, neighbour, ordinal, stored

EVERY_DTYPE = [*FORMATS, "bfloat16"]

TINY = {"float64": 5e-324, "float32": 2.0**-149, "float16": 2.0**-24, "bfloat16": 2.0**-133}
SMALLEST_NORMAL = {"float64": 2.0**-1022, "float32": 2.0**-126, "float16": 2.0**-14, "bfloat16": 2.0**-126}


def found(expected, received, dtype, rtol=0.0, atol=0.0):
    with np.errstate(all="ignore"):
        return compare_field(np.array(expected), np.array(received), Tolerance(rtol, atol), DTYPES[dtype])


@pytest.mark.parametrize("dtype", EVERY_DTYPE)
@pytest.mark.parametrize("steps", [1, 2, 5, 100, -1, -2, -100])
def test_ulps_are_steps_from_one_number_to_the_next(dtype, steps):
    for number in (1.0, 2.0, 0.5, -1.0, 3.0, 1.5, -0.75, 0.0, TINY[dtype], SMALLEST_NORMAL[dtype], -TINY[dtype]):
        other = neighbour(number, steps, dtype)
        assert found([number], [other], dtype).max_ulps == abs(steps), (number, other)


@pytest.mark.parametrize("dtype", EVERY_DTYPE)
def test_ulps_below_a_power_of_two_are_whole_steps(dtype):
    below, above = neighbour(1.0, -1, dtype), neighbour(1.0, 1, dtype)
    assert (1.0 - below) * 2 == above - 1.0
    assert found([1.0], [below], dtype).max_ulps == found([1.0], [above], dtype).max_ulps == 1


@pytest.mark.parametrize("dtype", EVERY_DTYPE)
def test_ulps_between_random_numbers_of_every_size(dtype):
    rng = random.Random(3)
    for _ in range(300):
        one, other = (
            stored(rng.choice((-1, 1)) * math.ldexp(rng.random(), rng.randrange(-160, 15)), dtype) for _ in range(2)
        )
        assert found([one], [other], dtype).max_ulps == float(abs(ordinal(one, dtype) - ordinal(other, dtype)))


@pytest.mark.parametrize("dtype", EVERY_DTYPE)
def test_the_exact_number_is_rounded_before_steps_are_counted(dtype):
    between = 1.0 + 0.3 * (neighbour(1.0, 1, dtype) - 1.0)
    assert found([between], [1.0], dtype).max_ulps == 0
    assert found([between], [neighbour(1.0, 1, dtype)], dtype).max_ulps == 1


def test_zero_and_minus_zero_are_no_step_apart_and_the_extremes_are_nearly_all():
    largest = np.finfo(float).max
    assert found([0.0], [-0.0], "float64").max_ulps == 0
    assert found([-largest], [largest], "float64").max_ulps == float(2 * ordinal(largest, "float64"))


@pytest.mark.parametrize("dtype", EVERY_DTYPE)
def test_all_figures_of_random_arrays(dtype):
    rng = random.Random(8)
    for size in (2, 7, 60):
        expected = [stored(rng.gauss(0, 1), dtype) for _ in range(size)]
        received = [stored(number * (1 + rng.gauss(0, 0.01)), dtype) for number in expected]
        answer, figures = found(expected, received, dtype, 1e-3, 1e-4), apart(expected, received, dtype, 1e-3, 1e-4)
        assert answer.worst_index == (figures.pop("worst"),)
        assert (answer.expected, answer.received) == (expected[answer.worst_index[0]], received[answer.worst_index[0]])
        for name, figure in figures.items():
            assert getattr(answer, name) == pytest.approx(figure, rel=1e-12), name


def test_the_worst_is_the_worst_with_no_tolerance_at_all():
    answer = found([1.0, 100.0, 3.0], [1.5, 100.75, 3.0], "float64")
    assert (answer.worst_index, answer.max_abs_error, answer.wrong, answer.size) == ((1,), 0.75, 2, 3)
    assert found([0.0, 1.0], [20.0, 30.0], "float64").worst_index == (1,)


def test_the_worst_is_what_exceeds_its_tolerance_most():
    assert found([1000.0, 1.0], [1000.5, 1.4], "float64", rtol=0.1).worst_index == (1,)
    assert found([1000.0, 1.0], [1000.5, 1.4], "float64", atol=0.1).worst_index == (0,)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_non_finite_numbers_are_worst_and_left_out_of_the_errors(odd):
    answer = found([1.0, 2.0, 3.0], [9.0, odd, odd], "float64", atol=1.0)
    assert (answer.passed, answer.worst_index, answer.expected) == (False, (1,), 2.0)
    assert repr(answer.received) == repr(float(odd))
    assert (answer.max_abs_error, answer.max_rel_error, answer.wrong) == (8.0, 8.0, 3)
    counted = (answer.wrong_nan, answer.wrong_infinities)
    assert counted == ((2, 0) if np.isnan(odd) else (0, 2))


def test_equal_infinities_and_nan_are_right():
    same = [np.inf, -np.inf, np.nan, 1.0]
    answer = found(same, same, "float64")
    assert (answer.passed, answer.max_abs_error, answer.wrong) == (True, 0.0, 0)
    assert not found([-np.inf], [-1e30], "float64", rtol=1.0, atol=1.0).passed
    assert not found([np.nan], [1.0], "float64", rtol=1.0, atol=1.0).passed
    assert found([-np.inf], [1.0], "float64").worst_index == (0,)


def test_an_empty_array_is_right_and_has_no_figures():
    answer = found([], [], "float64")
    assert (answer.passed, answer.max_abs_error, answer.max_ulps, answer.worst_index) == (True, None, None, None)


def test_correlation_is_null_where_one_side_is_constant_and_never_overflows():
    assert found([1.0, 1.0], [1.0, 2.0], "float64").correlation is None
    assert found([1.0], [2.0], "float64").correlation is None
    assert found([1e200, -1e200], [1e200, -2e200], "float64").correlation == pytest.approx(1)
    assert found([1e-200, -1e-200, 0], [-1e-200, 1e-200, 0], "float64").correlation == pytest.approx(-1)


def test_a_constant_factor_is_found_only_where_it_is_all_that_is_wrong():
    expected = np.array([0.5, -2.0, 3.0, 0.0])
    assert found(expected, expected * 1.25, "float64", rtol=1e-9).factor == 1.25
    assert found(expected, expected * [1.25, 1.25, 1.25, 1] + [0.1, 0, 0, 0], "float64", rtol=1e-9).factor is None
    assert found(expected, expected, "float64").factor is None
    assert found([3.0, 0.0], [6.0, 0.0], "float64").factor is None
