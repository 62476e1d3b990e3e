"""Tolerances of a check: when a number of a candidate counts as right."""

from dataclasses import dataclass

import numpy as np

from attention_core.arrays import BoolArray, FloatArray
from attention_core.checking.precision import HALF_UNIT, Rounding, WrittenPrecision
from attention_core.differences import FieldDifference, Tolerance, compare_field
from attention_core.dtypes import DTYPES, DType
from attention_core.reductions import all_finite

DEFAULT_TOLERANCES: dict[str, Tolerance] = {
    "float64": Tolerance(1e-7, 1e-9),
    "float32": Tolerance(1.3e-6, 1e-5),
    "float16": Tolerance(1e-3, 1e-5),
    "bfloat16": Tolerance(1.6e-2, 1e-5),
}
"""By storage type, the finest first; those of ``torch.testing.assert_close``, but with a smaller absolute one for
float64."""


KERNEL_TOLERANCES = (Tolerance(1e-5, 1e-4), Tolerance(2e-3, 2e-3))
"""Tolerances for kernels that compute in coarser types than that of the request."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of fields in float64 within a tolerance."""

    dtype: DType
    tolerance: Tolerance

    def own_dtype(self, name: str) -> DType:
        """Return the type in which a field is returned: logsumexp stays in the compute type."""
        return DTYPES[self.dtype.compute.name] if name == "logsumexp" else self.dtype

    def stored(self, name: str, received: FloatArray) -> FloatArray:
        """Return a received field rounded to the type in which it is returned."""
        return self.own_dtype(name).store(received).astype(np.float64)

    def representable(self, name: str, expected: FloatArray) -> FloatArray:
        """Return the exact numbers, infinite where the storage type cannot hold them."""
        own = self.own_dtype(name)
        if not (np.abs(expected) > own.max_finite).any():
            return expected
        stored = own.store(expected)
        return np.where(np.isinf(stored), stored, expected)

    def difference(self, name: str, expected: FloatArray, received: FloatArray) -> FieldDifference:
        """Compare one field."""
        return compare_field(self.representable(name, expected), received, self.tolerance, self.own_dtype(name))

    def equal(self, name: str, expected: FloatArray, received: FloatArray) -> BoolArray:
        """Return which elements of a field are right."""
        return self.tolerance.accepts(self.representable(name, expected), received)

    def errors(self, name: str, expected: FloatArray, received: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the error of each element, ∞ where only one is finite, and the magnitude of the expected number."""
        expected = self.representable(name, expected)
        errors, sizes = np.abs(received - expected), np.abs(expected)
        if not all_finite(errors):
            same = (received == expected) | (np.isnan(received) & np.isnan(expected))
            finite = np.isfinite(errors)
            errors, sizes = np.where(finite, errors, np.where(same, 0, np.inf)), np.where(finite, sizes, 0)
        return errors, sizes

    def levels(self, precision: WrittenPrecision) -> list["Comparison"]:
        """Return the levels of closeness at which mistakes are distinguished: each accepts more than the one before.

        The first is the default of the type, since with a tolerance of 0 a mistake has a cause, too.  Then follow, as
        far as they are wider, the rounding of the candidate, `KERNEL_TOLERANCES`, and the tolerance of the request.
        """
        rounded = sorted(map(_rounded_to, precision.informative), key=_width)
        default = DEFAULT_TOLERANCES[self.dtype.name]
        tolerances = [default, _widened(default, *rounded[:1])]
        for wider in sorted([*rounded[1:], *KERNEL_TOLERANCES, self.tolerance], key=_width):
            tolerances.append(_widened(tolerances[-1], wider))
        return [Comparison(self.dtype, tolerance) for tolerance in dict.fromkeys(tolerances)]


def first_informative_level(levels: list[Comparison], precision: WrittenPrecision) -> int:
    """Return the index of the first level that is at least as wide as the candidate's rounding."""
    rounded = min(map(_rounded_to, precision.informative), key=_width, default=levels[0].tolerance)
    return next(place for place, one in enumerate(levels) if _widened(one.tolerance, rounded) == one.tolerance)


def _rounded_to(rounding: Rounding) -> Tolerance:
    last = HALF_UNIT * 10.0**-rounding.places
    return Tolerance(0, last) if rounding.kind == "decimals" else Tolerance(10 * last, 0)


def _width(tolerance: Tolerance) -> float:
    return tolerance.relative + tolerance.absolute


def _widened(tolerance: Tolerance, *others: Tolerance) -> Tolerance:
    """Return the tolerance that accepts all numbers that any of them accepts."""
    every = (tolerance, *others)
    return Tolerance(max(one.relative for one in every), max(one.absolute for one in every))
