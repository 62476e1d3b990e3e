"""Storage types by name, and the type each one computes in."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.errors import InvalidValue, Path, UnknownName

Rounding = Callable[[FloatArray], FloatArray]


def _to(kind: type[np.floating[Any]]) -> Rounding:
    """Rounding that NumPy does itself: to the nearest, ties to even."""
    storage: np.dtype[Any] = np.dtype(kind)

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
        return _bits_to_bfloat16(array)
    wide = array.astype(np.float64)
    _, exponents = np.frexp(wide)
    # The last bit of a normal number lies 8 below the exponent, that of every subnormal at 2^-133.
    last = np.maximum(exponents - 8, -133)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.ldexp(np.rint(np.ldexp(wide, -last)), last)
        rounded = np.where(np.abs(rounded) > BFLOAT16_LARGEST, np.copysign(np.inf, rounded), rounded)
        return np.where(np.isfinite(wide), rounded, wide).astype(np.float32)


def _bits_to_bfloat16(array: FloatArray) -> FloatArray:
    """Round float32 numbers by their bits: the lower half goes, after adding what carries if it must."""
    bits = array.view(np.uint32)
    rounded = (bits >> 16) & 1
    rounded += 0x7FFF
    rounded += bits
    rounded &= 0xFFFF0000
    result: FloatArray = rounded.view(np.float32)
    np.copyto(result, array, where=np.isnan(array))
    return result


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
        _require_within(array, rounded, path, self.name, self.largest)
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


def in_compute_type(array: FloatArray, dtype: np.dtype[Any], path: Path) -> FloatArray:
    """Return a bias or a parameter in the compute type; raise InvalidValue when a finite number does not fit."""
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        converted = array.astype(dtype)
    _require_within(array, converted, path, dtype.name, float(np.finfo(dtype).max))
    return converted


def positive_number(value: float, dtype: np.dtype[Any], path: Path, advice: str) -> float:
    """Return a scalar that is finite and greater than 0, in the compute type too; raise InvalidValue otherwise."""
    with np.errstate(over="ignore", under="ignore"):
        converted = float(dtype.type(value))
    if not 0 < converted < np.inf:
        smallest, largest = float(np.finfo(dtype).smallest_subnormal), float(np.finfo(dtype).max)
        raise InvalidValue(
            path,
            expected=f"a finite number greater than 0, in {dtype.name} from {smallest:.2g} to {largest:.6g}",
            received=str(value),
            advice=advice,
        )
    return value


def _require_within(array: FloatArray, rounded: FloatArray, path: Path, name: str, largest: float) -> None:
    overflowed = np.isinf(rounded) & np.isfinite(array)
    if overflowed.any():
        index = tuple(int(i) for i in np.argwhere(overflowed)[0])
        raise InvalidValue(
            (*path, *index),
            expected=f"a number within the range of {name} (at most {largest:.6g})",
            received=f"{array[index]!s}",
            advice="Scale the numbers down or choose a wider dtype.",
        )


BY_NUMPY = {dtype.holder: dtype for dtype in DTYPES.values() if dtype.name != "bfloat16"}
"""What an array without a named dtype is taken for."""


def dtype_named(name: str | None, *arrays: FloatArray | None) -> DType:
    """Return the dtype of that name; without a name the one that all arrays share, else float64."""
    if name is None:
        shared: np.dtype[Any] | None = None
        for array in arrays:
            if array is not None and array.dtype != shared:
                if shared is not None:
                    return DTYPES["float64"]
                shared = array.dtype
        return DTYPES["float64"] if shared is None else BY_NUMPY.get(shared, DTYPES["float64"])
    if name not in DTYPES:
        raise UnknownName(("dtype",), kind="a dtype", received=name, known=DTYPES)
    return DTYPES[name]
