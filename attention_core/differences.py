"""Differences between two arrays that should be equal, and between two results."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from attention_core.arrays import BoolArray, FloatArray
from attention_core.dtypes import DType


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Numbers are equal if ``|received − expected| ≤ absolute + relative · |expected|``, or both are NaN, ∞ or −∞."""

    relative: float
    """Relative tolerance, ≥ 0."""
    absolute: float
    """Absolute tolerance, ≥ 0."""

    def accepts(self, expected: FloatArray, received: FloatArray) -> BoolArray:
        """Return which elements are equal, in the arrays' common shape."""
        allowed = self.absolute + self.relative * np.abs(expected)
        near = np.abs(received - expected) <= allowed
        same = (received == expected) | (np.isnan(received) & np.isnan(expected))
        return np.where(np.isfinite(expected), near, same)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDifference:
    """Comparison of one array with the expected one.

    Errors, correlation and ulps are over the elements that are finite in both arrays, and None if there are none.
    """

    passed: bool
    """Whether all elements are equal within the tolerance."""
    max_abs_error: float | None
    """Largest |received − expected|."""
    max_rel_error: float | None
    """Largest |received − expected| / |expected|, where expected is not 0."""
    correlation: float | None
    """Pearson's correlation coefficient; None also where one side is constant."""
    max_ulps: float | None
    """Largest distance in units in the last place of the storage type."""
    worst_index: tuple[int, ...] | None
    """The first NaN or infinity that is wrong or missing, else the element furthest beyond its tolerance; None for an
    empty array."""
    expected: float | None
    """Expected element at `worst_index`."""
    received: float | None
    """Received element at `worst_index`."""
    size: int
    """Number of elements."""
    wrong: int
    """Number of elements that are not equal."""
    wrong_nan: int
    """Number of elements that are NaN and should not be."""
    wrong_infinities: int
    """Number of elements that are infinite and should be finite."""
    factor: float | None
    """Number by which all expected elements must be multiplied to equal the received ones; None if there is none."""


def compare_field(expected: FloatArray, received: FloatArray, tolerance: Tolerance, dtype: DType) -> FieldDifference:
    """Compare two float64 arrays of one shape, element by element.

    :param expected: the reference.
    :param received: the array to judge.
    :param tolerance: when elements count as equal.
    :param dtype: storage type whose units in the last place `max_ulps` counts.
    """
    equal = tolerance.accepts(expected, received)
    both = np.isfinite(expected) & np.isfinite(received)
    errors = np.abs(received[both] - expected[both])
    sizes = np.abs(expected[both])
    worst = _find_worst(expected, received, equal, tolerance)
    return FieldDifference(
        passed=bool(equal.all()),
        max_abs_error=_largest(errors),
        max_rel_error=_largest(errors[sizes > 0] / sizes[sizes > 0]),
        correlation=correlation(expected[both], received[both]),
        max_ulps=_largest(_ulp_distances(expected[both], received[both], dtype)),
        worst_index=worst,
        expected=None if worst is None else float(expected[worst]),
        received=None if worst is None else float(received[worst]),
        size=expected.size,
        wrong=int(np.sum(~equal)),
        wrong_nan=int(np.sum(np.isnan(received) & ~np.isnan(expected))),
        wrong_infinities=int(np.sum(np.isinf(received) & np.isfinite(expected))),
        factor=None if equal.all() else _factor(expected, received, tolerance),
    )


@dataclass(frozen=True, slots=True)
class ResultDifference:
    """Comparison of two results; None where one lacks the field or shapes differ."""

    max_abs_difference: Mapping[str, float | None]
    """Largest absolute difference of each field, by name."""
    correlation: float | None
    """Pearson's correlation coefficient of all weights."""
    mean_total_variation: float | None
    """Mean over rows of the total variation distance ½ Σ |w − w′| of their weights."""
    max_total_variation: float | None
    """Largest total variation distance of a row."""


def compare_results(
    left: Mapping[str, FloatArray], right: Mapping[str, FloatArray], names: Iterable[str]
) -> ResultDifference:
    """Compare two results, in float64.

    :param left: arrays by name.
    :param right: arrays by name.
    :param names: fields to compare; weights are compared row by row as well.
    """
    largest: dict[str, float | None] = {}
    for name in names:
        both = _comparable(left, right, name)
        largest[name] = None if both is None else _largest(_distances(*both))
    weights = _comparable(left, right, "weights")
    if weights is None or not weights[0].size:
        return ResultDifference(largest, None, None, None)
    variation = _distances(*weights).sum(axis=-1) / 2
    return ResultDifference(largest, correlation(*weights), float(variation.mean()), float(variation.max()))


def _comparable(
    left: Mapping[str, FloatArray], right: Mapping[str, FloatArray], name: str
) -> tuple[FloatArray, FloatArray] | None:
    if name not in left or name not in right or left[name].shape != right[name].shape:
        return None
    return left[name].astype(np.float64), right[name].astype(np.float64)


def _distances(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return absolute differences; 0 between equal infinities and between NaN and NaN."""
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(all="ignore"):
        return np.where(same, 0, np.abs(left - right))


def correlation(left: FloatArray, right: FloatArray) -> float | None:
    """Return Pearson's correlation coefficient; None for fewer than two elements or where one side is constant."""
    if left.size < 2:
        return None
    # Divide by the largest deviation before squaring, so that no square over- or underflows.
    with np.errstate(all="ignore"):
        deviations = [side.ravel() - side.mean() for side in (left, right)]
    largest = [np.max(np.abs(side)) for side in deviations]
    if not all(0 < size < np.inf for size in largest):
        return None
    a, b = (side / size for side, size in zip(deviations, largest, strict=True))
    return float(np.clip(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)), -1, 1))


def _find_worst(
    expected: FloatArray, received: FloatArray, equal: BoolArray, tolerance: Tolerance
) -> tuple[int, ...] | None:
    """Return the index of the element with the largest error in units of its tolerance; ties by absolute error."""
    if not expected.size:
        return None
    non_finite = ~(np.isfinite(expected) & np.isfinite(received))
    apart = np.where(equal, 0, np.inf)
    errors = np.where(non_finite, apart, np.abs(received - expected))
    allowed = tolerance.absolute + tolerance.relative * np.abs(expected)
    excess = np.where(non_finite | (errors == 0), apart, errors / allowed)
    index = np.argmax(np.where(excess == excess.max(), errors, -1))
    return tuple(int(i) for i in np.unravel_index(index, expected.shape))


def _factor(expected: FloatArray, received: FloatArray, tolerance: Tolerance) -> float | None:
    """Return the number that makes expected · factor equal received within the tolerance; None if there is none."""
    finite = np.isfinite(expected)
    largest = np.max(np.abs(expected[finite]), initial=0)
    if largest == 0 or np.count_nonzero(expected[finite]) < 2:
        return None
    at = np.unravel_index(np.argmax(np.where(finite, np.abs(expected), -1)), expected.shape)
    factor = float(received[at] / expected[at])
    return factor if np.isfinite(factor) and tolerance.accepts(expected * factor, received).all() else None


def _ulp_distances(expected: FloatArray, received: FloatArray, dtype: DType) -> FloatArray:
    """Return distances in units in the last place, with both arrays rounded to the storage type."""
    left, right = dtype.ordinals(expected), dtype.ordinals(received)
    # The largest distance needs 64 bits, unsigned.
    steps = np.maximum(left, right).view(np.uint64) - np.minimum(left, right).view(np.uint64)
    return steps.astype(np.float64)


def _largest(numbers: FloatArray) -> float | None:
    return float(np.max(numbers)) if numbers.size else None
