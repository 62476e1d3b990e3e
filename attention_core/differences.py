"""How far two arrays that should be equal are apart."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from attention_core.arrays import BoolArray, FloatArray, IntArray
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
    are none; `max_ulps` counts the steps from one number of the storage type to the next.  `worst_index` is the first
    NaN or infinity that should not be there (or is missing), else the element that exceeds its tolerance most; None for
    an empty array.
    """

    passed: bool
    max_abs_error: float | None
    max_rel_error: float | None
    correlation: float | None
    max_ulps: float | None
    worst_index: tuple[int, ...] | None
    expected: float | None
    received: float | None
    size: int
    """How many elements there are."""
    wrong: int
    """How many elements are not equal."""
    wrong_nan: int
    """How many are NaN though they should not be."""
    wrong_infinities: int
    """How many are infinite though a number should be there."""
    factor: float | None
    """By what everything is multiplied, where that alone makes the array wrong."""


def difference(expected: FloatArray, received: FloatArray, tolerance: Tolerance, dtype: DType) -> FieldDifference:
    """Compare two arrays of one shape, element by element, in float64."""
    equal = tolerance.accepts(expected, received)
    both = np.isfinite(expected) & np.isfinite(received)
    errors = np.abs(received[both] - expected[both])
    sizes = np.abs(expected[both])
    worst = _worst(expected, received, equal, tolerance)
    return FieldDifference(
        passed=bool(equal.all()),
        max_abs_error=_largest(errors),
        max_rel_error=_largest(errors[sizes > 0] / sizes[sizes > 0]),
        correlation=correlation(expected[both], received[both]),
        max_ulps=_largest(_steps(expected[both], received[both], dtype)),
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
    with np.errstate(all="ignore"):
        deviations = [side.ravel() - side.mean() for side in (left, right)]
    largest = [np.max(np.abs(side)) for side in deviations]
    if not all(0 < size < np.inf for size in largest):
        return None
    a, b = (side / size for side, size in zip(deviations, largest, strict=True))
    return float(np.clip(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)), -1, 1))


def _worst(
    expected: FloatArray, received: FloatArray, equal: BoolArray, tolerance: Tolerance
) -> tuple[int, ...] | None:
    """Return the index of the element that is furthest from equal; among those that may not differ at all, by error."""
    if not expected.size:
        return None
    odd = ~(np.isfinite(expected) & np.isfinite(received))
    apart = np.where(equal, 0, np.inf)
    errors = np.where(odd, apart, np.abs(received - expected))
    excess = np.where(odd | (errors == 0), apart, errors / (tolerance.absolute + tolerance.relative * np.abs(expected)))
    index = np.argmax(np.where(excess == excess.max(), errors, -1))
    return tuple(int(i) for i in np.unravel_index(index, expected.shape))


def _factor(expected: FloatArray, received: FloatArray, tolerance: Tolerance) -> float | None:
    """Return by what all that is expected must be multiplied to be what was received; None if no number does."""
    finite = np.isfinite(expected)
    largest = np.max(np.abs(expected[finite]), initial=0)
    if largest == 0 or np.count_nonzero(expected[finite]) < 2:
        return None
    at = np.unravel_index(np.argmax(np.where(finite, np.abs(expected), -1)), expected.shape)
    factor = float(received[at] / expected[at])
    return factor if np.isfinite(factor) and tolerance.accepts(expected * factor, received).all() else None


def _steps(expected: FloatArray, received: FloatArray, dtype: DType) -> FloatArray:
    """Return how many steps it is from one to the other, both rounded to the storage type."""
    left, right = _ordinals(expected, dtype), _ordinals(received, dtype)
    # The largest distance takes 64 bits without a sign.
    steps = np.maximum(left, right).view(np.uint64) - np.minimum(left, right).view(np.uint64)
    return steps.astype(np.float64)


def _ordinals(numbers: FloatArray, dtype: DType) -> IntArray:
    """Number what the storage type can hold in its order; 0 and −0 are 0."""
    stored = np.ascontiguousarray(dtype.store(numbers))
    bits = stored.view(f"i{stored.itemsize}").astype(np.int64)
    width = 8 * stored.itemsize
    if dtype.name == "bfloat16":
        bits, width = bits >> 16, 16
    lowest = np.int64(-(2 ** (width - 1)))
    return np.where(bits < 0, lowest - bits, bits)


def _largest(numbers: FloatArray) -> float | None:
    return float(np.max(numbers)) if numbers.size else None
