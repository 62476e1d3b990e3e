"""How far two arrays that should be equal are apart."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from attention_core.arrays import BoolArray, FloatArray
from attention_core.dtypes import DType


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Equal means ``|received − expected| ≤ absolute + relative · |expected|``; infinities and NaN equal themselves."""

    relative: float
    absolute: float

    def accepts(self, expected: FloatArray, received: FloatArray) -> BoolArray:
        """Return which elements are equal."""
        allowed = self.absolute + self.relative * np.abs(expected)
        near = np.abs(received - expected) <= allowed
        same = (received == expected) | (np.isnan(received) & np.isnan(expected))
        return np.where(np.isfinite(expected), near, same)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDifference:
    """One array held against what it should be.

    Errors are over the elements that are finite in both, relative ones where the expected is not 0, and None when there
    are none; `max_ulps` counts units in the last place of the storage type.  `worst_index` is the first NaN or infinity
    that should not be there (or is missing), else the element that exceeds its tolerance most; None for an empty array.
    """

    passed: bool
    max_abs_error: float | None
    max_rel_error: float | None
    correlation: float | None
    max_ulps: float | None
    worst_index: tuple[int, ...] | None
    expected: float | None
    received: float | None
    wrong: int
    """How many elements are not equal."""
    wrong_nan: int
    """How many are NaN though they should not be."""


def difference(expected: FloatArray, received: FloatArray, tolerance: Tolerance, dtype: DType) -> FieldDifference:
    """Compare two arrays of one shape, element by element, in float64."""
    equal = tolerance.accepts(expected, received)
    both = np.isfinite(expected) & np.isfinite(received)
    errors = np.abs(np.where(both, received - expected, 0))
    worst = _worst(expected, received, tolerance)
    return FieldDifference(
        passed=bool(equal.all()),
        max_abs_error=_largest(errors[both]),
        max_rel_error=_largest(errors[both & (expected != 0)] / np.abs(expected[both & (expected != 0)])),
        correlation=correlation(expected[both], received[both]),
        max_ulps=_largest(_ulps(expected[both], received[both], dtype)),
        worst_index=worst,
        expected=None if worst is None else float(expected[worst]),
        received=None if worst is None else float(received[worst]),
        wrong=int(np.sum(~equal)),
        wrong_nan=int(np.sum(np.isnan(received) & ~np.isnan(expected))),
    )


@dataclass(frozen=True, slots=True)
class ResultDifference:
    """How far two results are apart; None where one lacks a field or shapes differ."""

    max_abs_difference: Mapping[str, float | None]
    correlation: float | None
    """Pearson's, of all weights."""
    mean_total_variation: float | None
    max_total_variation: float | None


def compare(left: Mapping[str, FloatArray], right: Mapping[str, FloatArray], names: Iterable[str]) -> ResultDifference:
    """Compare two results by the fields of these names, and by their weights row by row, in float64."""
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
    """Return absolute differences; equal infinities and two NaN are no distance apart."""
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(all="ignore"):
        return np.where(same, 0, np.abs(left - right))


def correlation(left: FloatArray, right: FloatArray) -> float | None:
    """Return Pearson's correlation coefficient; None for fewer than two elements or where one side is constant."""
    if left.size < 2:
        return None
    # The largest deviation is taken out before squaring, so that nothing overflows or vanishes.
    deviations = [side.ravel() - side.mean() for side in (left, right)]
    largest = [np.max(np.abs(side)) for side in deviations]
    if not all(0 < size < np.inf for size in largest):
        return None
    a, b = (side / size for side, size in zip(deviations, largest, strict=True))
    return float(np.clip(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)), -1, 1))


def _worst(expected: FloatArray, received: FloatArray, tolerance: Tolerance) -> tuple[int, ...] | None:
    """Return the index of the element that is furthest from equal."""
    if not expected.size:
        return None
    allowed = tolerance.absolute + tolerance.relative * np.abs(expected)
    with np.errstate(all="ignore"):
        excess = np.abs(received - expected) / np.maximum(allowed, np.finfo(np.float64).tiny)
    odd = ~(np.isfinite(expected) & np.isfinite(received))
    excess = np.where(odd, np.where(tolerance.accepts(expected, received), 0, np.inf), excess)
    return tuple(int(i) for i in np.unravel_index(np.argmax(excess), expected.shape))


def _ulps(expected: FloatArray, received: FloatArray, dtype: DType) -> FloatArray:
    """Return the distances in units of the storage type's last place at the expected number, rounded to that type."""
    stored = dtype.store(expected)
    return np.abs(received - stored.astype(np.float64)) / dtype.spacing(stored)


def _largest(numbers: FloatArray) -> float | None:
    return float(np.max(numbers)) if numbers.size else None
