"""Storage types by name, and the type each one computes in."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.errors import InvalidValue, Path, UnknownName


@dataclass(frozen=True, slots=True)
class DType:
    """A storage type: inputs are rounded to it on the way in, results once on the way out."""

    name: str
    storage: np.dtype[Any]
    compute: np.dtype[Any]

    def load(self, array: FloatArray, path: Path) -> FloatArray:
        """Round an input to the storage type and return it in the compute type.

        Raises InvalidValue when a finite number does not fit.
        """
        if array.dtype == self.storage:
            return array
        with np.errstate(over="ignore"):
            rounded = array.astype(self.storage)
        overflowed = np.isinf(rounded) & np.isfinite(array)
        if overflowed.any():
            index = tuple(int(i) for i in np.argwhere(overflowed)[0])
            raise InvalidValue(
                (*path, *index),
                expected=f"a number within the range of {self.name} (at most {float(np.finfo(self.storage).max):.6g})",
                received=f"{array[index]!s}",
                advice="Scale the numbers down or choose a wider dtype.",
            )
        return rounded.astype(self.compute, copy=False)

    def store(self, array: FloatArray) -> FloatArray:
        """Round a result to the storage type."""
        return array.astype(self.storage, copy=False)


DTYPES: dict[str, DType] = {
    "float64": DType("float64", np.dtype(np.float64), np.dtype(np.float64)),
    "float32": DType("float32", np.dtype(np.float32), np.dtype(np.float32)),
}


def dtype_named(name: str | None, *arrays: FloatArray | None) -> DType:
    """Return the dtype of that name; without a name float32 if all arrays are float32, else float64."""
    if name is None:
        single = all(array is None or array.dtype == np.float32 for array in arrays)
        return DTYPES["float32" if single else "float64"]
    if name not in DTYPES:
        raise UnknownName(("dtype",), kind="a dtype", received=name, known=DTYPES)
    return DTYPES[name]
