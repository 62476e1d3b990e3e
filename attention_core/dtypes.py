"""Storage types by name, with the compute type of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import FloatArray, IntArray
from attention_core.errors import ArgumentPath, InvalidValue, UnknownName

BFLOAT16: np.dtype[Any] = np.dtype([("bfloat16", np.uint16)])
"""NumPy type of the bits of bfloat16 numbers, two bytes each: ``bits.view(BFLOAT16)`` of an array of uint16.

Query, key, value and past may be arrays of it, beside arrays of bfloat16 numbers in a floating type.  NumPy computes
nothing with it, so that no bits are taken for numbers.
"""

RoundFunction = Callable[[FloatArray], FloatArray]
"""Rounds an array of any floating type to a storage type, to nearest, ties to even."""


def _round_with_numpy(kind: type[np.floating[Any]]) -> RoundFunction:
    """Return a function that casts to a NumPy type: to nearest, ties to even."""
    storage: np.dtype[Any] = np.dtype(kind)

    def rounded(array: FloatArray) -> FloatArray:
        if array.dtype == storage:
            return array
        with np.errstate(over="ignore"):
            return array.astype(storage, copy=False)

    return rounded


def _round_to_bfloat16(array: FloatArray) -> FloatArray:
    """Return numbers rounded to bfloat16 (8 significant bits, ties to even), in float32.

    Rounds once, from the precision of the array: a detour through float32 would round twice.
    """
    if array.dtype == np.float32:
        return _round_float32_to_bfloat16(array)
    wide = array.astype(np.float64)
    _, exponents = np.frexp(wide)
    # One ulp of a normal number is 2^(exponent − 8); of every subnormal, 2^-133.
    last = np.maximum(exponents - 8, -133)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.ldexp(np.rint(np.ldexp(wide, -last)), last)
        rounded = np.where(np.abs(rounded) > BFLOAT16_MAX, np.copysign(np.inf, rounded), rounded)
        return np.where(np.isfinite(wide), rounded, wide).astype(np.float32)


def _round_float32_to_bfloat16(array: FloatArray) -> FloatArray:
    """Return float32 numbers rounded to bfloat16 on their bits: the upper 16, after the lower 16 carry into them."""
    bits = array.view(np.uint32)
    rounded = (bits >> 16) & 1
    rounded += 0x7FFF
    rounded += bits
    rounded &= 0xFFFF0000
    result: FloatArray = rounded.view(np.float32)
    np.copyto(result, array, where=np.isnan(array))
    return result


BFLOAT16_MAX = float.fromhex("0x1.fep127")
"""Largest finite bfloat16."""


@dataclass(frozen=True, slots=True)
class DType:
    """A storage type: inputs are rounded to it before a call computes, results once afterwards."""

    name: str
    """"float64", "float32", "float16" or "bfloat16"."""
    numpy_dtype: np.dtype[Any]
    """NumPy type of arrays in this storage type; float32 for bfloat16."""
    compute: np.dtype[Any]
    """Compute type, float32 or float64."""
    max_finite: float
    """Largest finite number."""
    epsilon: float
    """Distance from 1 to the next larger number."""
    round: RoundFunction
    """Rounds an array of any floating type to the storage type."""
    stored: np.dtype[Any]
    """NumPy type of numbers as they are stored: `numpy_dtype`, and `BFLOAT16` for bfloat16."""
    narrow: bool = False
    """Whether the compute type holds larger numbers."""

    def __reduce__(self) -> tuple[Callable[[str], "DType"], tuple[str]]:
        """Return how a copy in another process is made: there the same name is the same type."""
        return _by_name, (self.name,)

    def load(self, array: FloatArray, path: ArgumentPath) -> FloatArray:
        """Return an input rounded to the storage type, in the compute type.

        :param array: any floating type, or `BFLOAT16`.
        :param path: the argument, for the error.

        Raises InvalidValue with the path of a finite number beyond the storage type's range.
        """
        if array.dtype == self.compute == self.numpy_dtype and self.name != "bfloat16":
            return array
        if array.dtype == self.stored:
            return widen(array)
        if array.dtype == BFLOAT16:
            array = widen(array)
        rounded = self.round(array)
        _require_within(array, rounded, path, self.name, self.max_finite)
        return rounded.astype(self.compute, copy=False)

    def load_stored(self, array: FloatArray, path: ArgumentPath) -> NDArray[Any]:
        """Return an input as it is if its numbers are as they are stored, else what `load` returns.

        :param array: any floating type, or `BFLOAT16`.
        :param path: the argument, for the error.

        Raises what `load` raises.
        """
        return array if array.dtype == self.stored else self.load(array, path)

    def store(self, array: FloatArray) -> FloatArray:
        """Return a result rounded to the storage type."""
        return self.round(array)

    def ordinals(self, array: FloatArray) -> IntArray:
        """Return the rank of each number among all numbers of the storage type, in ascending order; 0 for ±0."""
        stored = np.ascontiguousarray(self.round(array))
        bits = stored.view(f"i{stored.itemsize}").astype(np.int64)
        width = 8 * stored.itemsize
        if self.name == "bfloat16":
            bits, width = bits >> 16, 16
        lowest = np.int64(-(2 ** (width - 1)))
        return np.where(bits < 0, lowest - bits, bits)


def _by_name(name: str) -> DType:
    """Return the storage type of a name that there is."""
    return DTYPES[name]


def _numpy_dtype(kind: type[np.floating[Any]], compute: type[np.floating[Any]]) -> DType:
    """Return the storage type of a NumPy type."""
    info = np.finfo(kind)
    return DType(
        info.dtype.name,
        info.dtype,
        np.dtype(compute),
        max_finite=float(info.max),
        epsilon=float(info.eps),
        round=_round_with_numpy(kind),
        stored=info.dtype,
        narrow=kind is np.float16,
    )


DTYPES: dict[str, DType] = {
    "float64": _numpy_dtype(np.float64, np.float64),
    "float32": _numpy_dtype(np.float32, np.float32),
    "float16": _numpy_dtype(np.float16, np.float32),
    "bfloat16": DType(
        "bfloat16",
        np.dtype(np.float32),
        np.dtype(np.float32),
        max_finite=BFLOAT16_MAX,
        epsilon=2.0**-7,
        round=_round_to_bfloat16,
        stored=BFLOAT16,
        narrow=True,
    ),
}
"""Storage types by name."""


def widen(array: NDArray[Any]) -> FloatArray:
    """Return numbers of two bytes in float32, which holds them exactly.

    :param array: float16 or `BFLOAT16`, any shape.
    """
    if array.dtype == BFLOAT16:
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32)


def to_compute_dtype(array: FloatArray, dtype: np.dtype[Any], path: ArgumentPath) -> FloatArray:
    """Return a bias or a parameter in the compute type.

    :param array: any floating type.
    :param dtype: compute type.
    :param path: the argument, for the error.

    Raises InvalidValue with the path of a finite number beyond the compute type's range.
    """
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        converted = array.astype(dtype)
    _require_within(array, converted, path, dtype.name, float(np.finfo(dtype).max))
    return converted


def describe_range(dtype: np.dtype[Any]) -> str:
    """Return the smallest and largest positive numbers of a compute type, for errors: "in float32 from … to …"."""
    limits = np.finfo(dtype)
    return f"in {dtype.name} from {float(limits.smallest_subnormal):.2g} to {float(limits.max):.6g}"


def _require_within(array: FloatArray, rounded: FloatArray, path: ArgumentPath, name: str, largest: float) -> None:
    overflowed = np.isinf(rounded) & np.isfinite(array)
    if overflowed.any():
        index = tuple(int(i) for i in np.argwhere(overflowed)[0])
        raise InvalidValue(
            (*path, *index),
            expected=f"a number within the range of {name} (at most {largest:.6g})",
            received=f"{array[index]!s}",
            advice="Scale the numbers down or choose a wider dtype.",
        )


DTYPE_BY_NUMPY_DTYPE = {dtype.stored: dtype for dtype in DTYPES.values()}
"""Storage type of an array by its NumPy type; a float32 array counts as float32, never as bfloat16."""


def resolve_dtype(name: str | None, *arrays: FloatArray | None) -> DType:
    """Return the storage type of a call.

    :param name: its name; None for the type that all arrays share, else float64.
    :param arrays: query, key and value; None is ignored.

    Raises UnknownName.
    """
    if name is None:
        shared: np.dtype[Any] | None = None
        for array in arrays:
            if array is not None and array.dtype != shared:
                if shared is not None:
                    return DTYPES["float64"]
                shared = array.dtype
        return DTYPES["float64"] if shared is None else DTYPE_BY_NUMPY_DTYPE.get(shared, DTYPES["float64"])
    if name not in DTYPES:
        raise UnknownName(("dtype",), expected="a dtype", kind="dtype", received=str(name), known=DTYPES)
    return DTYPES[name]
