"""Storage types by name, and the type each one computes in."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.errors import InvalidValue, Path, UnknownName

Rounding = Callable[[FloatArray], FloatArray]


def _to(storage: type[np.floating[Any]]) -> Rounding:
    """Rounding that NumPy does itself: to the nearest, ties to even."""

    def rounded(array: FloatArray) -> FloatArray:
        if array.dtype == storage:
            return array
        with np.errstate(over="ignore"):
            return array.astype(storage, copy=False)

    return rounded


def _to_bfloat16(array: FloatArray) -> FloatArray:
    """Round to the 8 significant bits of a bfloat16, ties to even, held in float32.

    Rounded in one step from whatever precision comes in: going through float32 first would round twice.
    """
    if array.dtype == np.float32:
        return _float32_to_bfloat16(array)
    wide = array.astype(np.float64)
    _, exponents = np.frexp(wide)
    # The last bit of a normal number lies 8 below the exponent, that of every subnormal at 2^-133.
    last = np.maximum(exponents - 8, -133)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.ldexp(np.rint(np.ldexp(wide, -last)), last)
        rounded = np.where(np.abs(rounded) > BFLOAT16_LARGEST, np.copysign(np.inf, rounded), rounded)
        return np.where(np.isfinite(wide), rounded, wide).astype(np.float32)


def _float32_to_bfloat16(array: FloatArray) -> FloatArray:
    """Round to the upper half of the bits, ties to even; what overflows carries into infinity, and NaN stays itself."""
    bits = array.view(np.uint32)
    upper = (bits + (np.uint32(0x7FFF) + (bits >> 16 & 1))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(array), array, upper.view(np.float32))


BFLOAT16_LARGEST = float.fromhex("0x1.fep127")


@dataclass(frozen=True, slots=True)
class DType:
    """A storage type: inputs are rounded to it on the way in, results once on the way out."""

    name: str
    holder: np.dtype[Any]
    """The NumPy type that holds it: its own, or float32 for bfloat16."""
    compute: np.dtype[Any]
    largest: float
    round: Rounding

    def load(self, array: FloatArray, path: Path) -> FloatArray:
        """Round an input to the storage type and return it in the compute type.

        Raises InvalidValue when a finite number does not fit.
        """
        if array.dtype == self.compute == self.holder and self.name != "bfloat16":
            return array
        rounded = self.round(array)
        overflowed = np.isinf(rounded) & np.isfinite(array)
        if overflowed.any():
            index = tuple(int(i) for i in np.argwhere(overflowed)[0])
            raise InvalidValue(
                (*path, *index),
                expected=f"a number within the range of {self.name} (at most {self.largest:.6g})",
                received=f"{array[index]!s}",
                advice="Scale the numbers down or choose a wider dtype.",
            )
        return rounded.astype(self.compute, copy=False)

    def store(self, array: FloatArray) -> FloatArray:
        """Round a result to the storage type."""
        return self.round(array)


DTYPES: dict[str, DType] = {
    "float64": DType("float64", np.dtype(np.float64), np.dtype(np.float64), sys.float_info.max, _to(np.float64)),
    "float32": DType(
        "float32", np.dtype(np.float32), np.dtype(np.float32), float(np.finfo(np.float32).max), _to(np.float32)
    ),
    "float16": DType(
        "float16", np.dtype(np.float16), np.dtype(np.float32), float(np.finfo(np.float16).max), _to(np.float16)
    ),
    "bfloat16": DType("bfloat16", np.dtype(np.float32), np.dtype(np.float32), BFLOAT16_LARGEST, _to_bfloat16),
}


BY_NUMPY = {dtype.holder: dtype for dtype in DTYPES.values() if dtype.name != "bfloat16"}
"""What an array without a named dtype is taken for."""


def dtype_named(name: str | None, *arrays: FloatArray | None) -> DType:
    """Return the dtype of that name; without a name the one that all arrays share, else float64."""
    if name is None:
        shared = {array.dtype for array in arrays if array is not None}
        return BY_NUMPY.get(shared.pop(), DTYPES["float64"]) if len(shared) == 1 else DTYPES["float64"]
    if name not in DTYPES:
        raise UnknownName(("dtype",), kind="a dtype", received=name, known=DTYPES)
    return DTYPES[name]
