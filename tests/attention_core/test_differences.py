"""Differences of two results, against definitions in plain Python, and where they are undefined."""

import math
import random
import statistics

import numpy as np
import pytest

from attention_core.arrays import FloatArray
from attention_core.differences import ResultDifference, compare_results, correlation

NAMES = ("scores", "weights", "output")
INF, NAN = math.inf, math.nan


def array(*numbers: float) -> FloatArray:
    return np.array(numbers, dtype=np.float64)


def of_weights(left: FloatArray, right: FloatArray) -> ResultDifference:
    return compare_results({"weights": left}, {"weights": right}, ["weights"])


@pytest.mark.parametrize("size", [2, 3, 50, 1000])
def test_correlation_is_pearsons(size: int) -> None:
    rng = random.Random(size)
    left = [rng.gauss(5, 2) for _ in range(size)]
    right = [0.3 * number + rng.gauss(0, 1) for number in left]
    expected = statistics.correlation(left, right)
    assert correlation(array(*left), array(*right)) == pytest.approx(expected, abs=1e-12)
    assert correlation(array(*right).reshape(1, -1), array(*left).reshape(1, -1)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1.0, 1e150, 1e300])
def test_correlation_knows_no_scale(scale: float) -> None:
    numbers = array(1, 2, 4)
    assert correlation(numbers * scale, numbers) == pytest.approx(1, abs=1e-3 if scale < 1e-300 else 1e-15)
    assert correlation(numbers * scale, -numbers) == pytest.approx(-1, abs=1e-3 if scale < 1e-300 else 1e-15)


def test_correlation_is_never_beyond_one() -> None:
    rng = random.Random(1)
    for _ in range(200):
        numbers = array(*(rng.gauss(0, 1) for _ in range(7)))
        found = correlation(numbers, 3 * numbers + 0.1)
        assert found is not None
        assert 1 - 1e-12 < found <= 1


NOTHING_TO_SAY = {
    "none": (array(), array()),
    "one": (array(1), array(2)),
    "one side constant": (array(0.5, 0.5, 0.5), array(0.1, 0.2, 0.7)),
    "the other side constant": (array(0.1, 0.2, 0.7), array(0.5, 0.5, 0.5)),
    "both constant": (array(0, 0), array(1, 1)),
    "not a number": (array(NAN, 1, 2), array(1, 2, 3)),
    "infinite": (array(1, 2, 3), array(INF, 1, 2)),
    "both infinities": (array(1, 2, 3), array(INF, -INF, 2)),
    "a mean beyond float64": (array(1, 2, 3), array(1.7e308, 1.7e308, 1.0)),
}


@pytest.mark.parametrize("name", NOTHING_TO_SAY)
def test_there_is_no_correlation(name: str) -> None:
    left, right = NOTHING_TO_SAY[name]
    assert correlation(left, right) is None


def test_differences_of_every_field_and_of_rows_of_weights() -> None:
    left = {
        "scores": np.array([[1.0, 5.0]]),
        "weights": np.array([[[0.1, 0.9], [0.5, 0.5]]]),
        "output": np.ones((1, 2, 1)),
    }
    right = {
        "scores": np.array([[4.0, 3.0]]),
        "weights": np.array([[[0.4, 0.6], [0.5, 0.5]]]),
        "output": np.ones((1, 2, 1)),
    }
    found = compare_results(left, right, NAMES)
    assert found.max_abs_difference == {"scores": 3, "weights": pytest.approx(0.3), "output": 0}
    assert found.max_total_variation == pytest.approx(0.3, abs=1e-15)
    assert found.mean_total_variation == pytest.approx(0.15, abs=1e-15)
    assert found.correlation == pytest.approx(statistics.correlation([0.1, 0.9, 0.5, 0.5], [0.4, 0.6, 0.5, 0.5]))


def test_difference_is_the_same_both_ways() -> None:
    rng = np.random.default_rng(4)
    left, right = rng.random((2, 3, 4, 5))
    assert of_weights(left, right) == of_weights(right, left)


def test_a_missing_field_or_one_of_another_shape_is_none() -> None:
    left = {"scores": np.ones((2, 3)), "weights": np.ones((2, 3)), "output": np.ones((2, 1))}
    found = compare_results(left, {"scores": np.ones((3, 2)), "weights": np.ones((2, 4))}, NAMES)
    assert found == ResultDifference(dict.fromkeys(NAMES), None, None, None)
    assert compare_results(left, {"scores": np.zeros((2, 3))}, NAMES).max_abs_difference == {
        "scores": 1, "weights": None, "output": None
    }  # fmt: skip


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_of_empty_weights_nothing_is_said(shape: tuple[int, int]) -> None:
    assert of_weights(np.ones(shape), np.ones(shape)) == ResultDifference({"weights": None}, None, None, None)


def test_narrow_types_are_compared_in_float64() -> None:
    left, right = np.array([[1.0, 2.0**-12]], np.float16), np.array([[1.0, 0.0]], np.float32)
    assert of_weights(left, right).max_abs_difference == {"weights": 2.0**-12}
    huge = np.array([[3e38]], np.float32), np.array([[-3e38]], np.float32)
    assert of_weights(*huge).max_abs_difference == {"weights": 2 * float(huge[0][0, 0])}


def test_equal_infinities_and_nan_are_no_distance_apart() -> None:
    odd = np.array([[INF, -INF, NAN, 1.0]])
    assert of_weights(odd, odd.copy()).max_abs_difference == {"weights": 0}
    assert of_weights(odd, odd.copy()).max_total_variation == 0


@pytest.mark.parametrize(
    ("one", "other", "apart"), [(INF, -INF, INF), (INF, 1.0, INF), (NAN, 1.0, NAN), (NAN, INF, NAN)]
)
def test_other_infinities_and_nan_are(one: float, other: float, apart: float) -> None:
    """And none of it warns."""
    found = of_weights(np.array([[one, 0.5]]), np.array([[other, 0.5]]))
    np.testing.assert_equal(found.max_abs_difference, {"weights": apart})
    np.testing.assert_equal([found.max_total_variation, found.mean_total_variation], [apart, apart])
    assert found.correlation is None
