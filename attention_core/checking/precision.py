"""Precision in which the numbers of a candidate are written: decimals, significant digits, or a binary type."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.dtypes import DTYPES, DType

MAX_DECIMALS = 8
"""Numbers with more decimals count as written in full."""

MAX_DIGITS = 8
"""Numbers with more significant digits count as written in full."""

HALF_UNIT = 0.55
"""Largest error of a rounded number, in units of its last place; 0.05 more than exact rounding, for numbers computed in
float32 before they were rounded."""

SAMPLED_NUMBERS = 64
"""Number of elements that are examined first: in most candidates they already need all their digits."""

SHORTER_TYPES = ("bfloat16", "float16", "float32")
"""Binary types that a float64 may have come from, the coarsest first."""


def half_step(dtype: DType) -> float:
    """Return the largest error of a number rounded to a type, relative to the number."""
    return dtype.epsilon / 2


@dataclass(frozen=True, slots=True)
class Rounding:
    """A rounding to a number of decimals, or of significant digits."""

    kind: Literal["decimals", "digits"]
    places: int


@dataclass(frozen=True, slots=True)
class WrittenPrecision:
    """Fewest decimals, fewest significant digits and coarsest binary type that hold every finite number exactly.

    `decimals` and `digits` are None where more than `MAX_DECIMALS` or `MAX_DIGITS` are needed.
    """

    decimals: int | None
    digits: int | None
    half_step: float
    """Largest error of a number rounded to the binary type, relative to the number."""

    @classmethod
    def of(cls, array: FloatArray) -> Self:
        """Return the precision of an array, in the type in which it was received."""
        floating = np.asarray(array, None if array.dtype.kind == "f" else np.float64)
        # The resolution of the received type limits how exactly a number is a decimal fraction.
        slack = 4 * float(np.finfo(floating.dtype).eps)
        numbers = np.abs(floating[np.isfinite(floating)].astype(np.float64))
        numbers = numbers[numbers > 0]
        decimals = _fewest(numbers, np.zeros_like(numbers), slack, range(MAX_DECIMALS + 1))
        digits = _fewest(numbers, -_exponents(numbers) - 1, slack, range(1, MAX_DIGITS + 1))
        holder = next((name for name in SHORTER_TYPES if _holds(name, numbers)), "float64")
        return cls(decimals, digits, half_step(DTYPES[holder]))

    @classmethod
    def joined(cls, precisions: Iterable[Self]) -> Self:
        """Return the precision of several arrays together, from that of each."""
        decimals, digits, half_steps = zip(
            *((one.decimals, one.digits, one.half_step) for one in precisions), strict=True
        )
        return cls(_largest(decimals), _largest(digits), min(half_steps))

    @property
    def roundings(self) -> tuple[Rounding, ...]:
        """Return how the numbers may have been rounded; to significant digits only where that is the coarser one."""
        found = []
        if self.decimals is not None:
            found.append(Rounding("decimals", self.decimals))
        if self.digits is not None and (self.decimals is None or self.digits < self.decimals):
            found.append(Rounding("digits", self.digits))
        return tuple(found)

    @property
    def informative(self) -> tuple[Rounding, ...]:
        """Return the roundings that leave evidence: not those to whole numbers or to one digit."""
        return tuple(one for one in self.roundings if one.places >= (1 if one.kind == "decimals" else 2))

    def half_unit(self, numbers: FloatArray, least_places: int = 0) -> FloatArray:
        """Return the largest error that the coarsest rounding leaves in each finite number.

        :param numbers: the rounded numbers.
        :param least_places: roundings to fewer decimals or digits count as roundings to this number of them.
        """
        units = [half_unit(replace(one, places=max(one.places, least_places)), numbers) for one in self.roundings]
        largest: FloatArray = np.abs(numbers) * self.half_step
        for unit in units:
            largest = np.maximum(largest, unit)
        return largest


def half_unit(rounding: Rounding, numbers: FloatArray) -> FloatArray:
    """Return the largest error that a rounding leaves in each of the rounded numbers."""
    if rounding.kind == "decimals":
        return np.full(numbers.shape, HALF_UNIT * 10.0**-rounding.places)
    sizes = np.where(np.isfinite(numbers), np.abs(numbers), 0)
    unit = np.power(10.0, _exponents(np.where(sizes > 0, sizes, 1)) - rounding.places + 1)
    return np.where(sizes > 0, HALF_UNIT * unit, 0)


def _largest(counts: tuple[int | None, ...]) -> int | None:
    """Return the largest count; None if one of them is None, which stands for numbers written in full."""
    known = [count for count in counts if count is not None]
    return max(known) if len(known) == len(counts) else None


def _exponents(numbers: FloatArray) -> FloatArray:
    """Return the power of ten of the first digit of each positive number."""
    return np.floor(np.log10(numbers))


def _fewest(numbers: FloatArray, shifts: FloatArray, slack: float, counts: range) -> int | None:
    """Return the first count for which number · 10^(count + shift) is whole throughout; None if there is none."""
    sample = slice(0, SAMPLED_NUMBERS)
    for count in counts:
        if _whole(numbers[sample], shifts[sample] + count, slack) and _whole(numbers, shifts + count, slack):
            return count
    return None


def _whole(numbers: FloatArray, exponents: FloatArray, slack: float) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = numbers * np.power(10.0, exponents)
        uncertain = slack * scaled
        # Beyond the resolution of the type every number looks whole.
        return bool(np.all((np.abs(scaled - np.rint(scaled)) <= uncertain) & (uncertain < HALF_UNIT / 10)))


def _holds(name: str, numbers: FloatArray) -> bool:
    """Whether a binary type holds all numbers exactly."""
    rounded = DTYPES[name].round
    return all(bool(np.all(rounded(part) == part)) for part in (numbers[:SAMPLED_NUMBERS], numbers))
