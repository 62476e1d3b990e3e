"""When a number counts as right: the tolerance, and what the storage type can hold."""

from dataclasses import dataclass

import numpy as np

from attention_core.arrays import BoolArray, FloatArray
from attention_core.differences import FieldDifference, Tolerance, difference
from attention_core.dtypes import DTYPES, DType

DEFAULT_TOLERANCES: dict[str, Tolerance] = {
    "float64": Tolerance(1e-7, 1e-9),
    "float32": Tolerance(1.3e-6, 1e-5),
    "float16": Tolerance(1e-3, 1e-5),
    "bfloat16": Tolerance(1.6e-2, 1e-5),
}
"""By storage type, the finest first; those of ``torch.testing.assert_close`` but for float64, whose absolute one is
tighter here."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How fields in float64 are held against each other."""

    dtype: DType
    tolerance: Tolerance

    def own_dtype(self, name: str) -> DType:
        """The type a field is returned in: logsumexp stays in the compute type."""
        return DTYPES[self.dtype.compute.name] if name == "logsumexp" else self.dtype

    def stored(self, name: str, received: FloatArray) -> FloatArray:
        """Round what was received to the type it is returned in."""
        return self.own_dtype(name).store(received).astype(np.float64)

    def reference(self, name: str, expected: FloatArray) -> FloatArray:
        """Return the exact numbers, infinite where the type cannot hold them: it cannot for anybody."""
        own = self.own_dtype(name)
        if not (np.abs(expected) > own.largest).any():
            return expected
        stored = own.store(expected)
        return np.where(np.isinf(stored), stored, expected)

    def difference(self, name: str, expected: FloatArray, received: FloatArray) -> FieldDifference:
        """Compare one field."""
        return difference(self.reference(name, expected), received, self.tolerance, self.own_dtype(name))

    def equal(self, name: str, expected: FloatArray, received: FloatArray) -> BoolArray:
        """Return which elements of a field are right."""
        return self.tolerance.accepts(self.reference(name, expected), received)

    def levels(self) -> list["Comparison"]:
        """Return how closely mistakes are told apart, the closest first; the last ones for kernels that round more.

        What was asked for is not among them unless it is wider: with a tolerance of 0 a mistake has a cause, too.
        """
        default, asked = DEFAULT_TOLERANCES[self.dtype.name], self.tolerance
        tolerances = [default]
        for relative, absolute in ((1e-5, 1e-4), (2e-3, max(2e-3, default.relative))):
            tolerances.append(Tolerance(max(default.relative, relative), max(default.absolute, absolute)))
        if asked.relative > tolerances[-1].relative or asked.absolute > tolerances[-1].absolute:
            tolerances.append(asked)
        return [Comparison(self.dtype, tolerance) for tolerance in tolerances]
