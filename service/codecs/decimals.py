"""How numbers of each dtype look in JSON."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

BYTES_PER_NUMBER = {"float64": 20, "float32": 12, "float16": 9, "bfloat16": 9}
"""About how long a number of each dtype is when written with its comma."""


def shortest(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return an array whose numbers are written with no more digits than read back to the same value in `dtype`.

    JSON writers know the shortest float64 and float32.  Half types have 65 536 values each, so theirs are looked up.
    """
    if dtype == "float16":
        return _float16_decimals()[array.astype(np.float16).view(np.uint16)]
    if dtype == "bfloat16":
        return _bfloat16_decimals()[array.astype(np.float32).view(np.uint32) >> 16]
    return array


@cache
def _float16_decimals() -> NDArray[np.float64]:
    """For each bit pattern of a float16 the float64 nearest to its shortest decimal."""
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    return np.array([float(np.format_float_scientific(value, unique=True)) for value in values])


@cache
def _bfloat16_decimals() -> NDArray[np.float64]:
    """For each bit pattern of a bfloat16 the float64 nearest to its shortest decimal, of four digits at most."""
    bits = np.arange(2**16, dtype=np.uint32) << 16
    with np.errstate(invalid="ignore"):  # some of the bits are signalling NaN
        values = bits.view(np.float32).astype(np.float64)
    decimals = values.copy()
    undecided = np.isfinite(values)
    for digits in range(1, 5):
        rounded = np.array(
            [float(f"{value:.{digits}g}") if ask else 0.0 for value, ask in zip(values, undecided, strict=True)]
        )
        found = undecided & (_round_to_bfloat16(rounded) == values)
        decimals[found] = rounded[found]
        undecided &= ~found
    return decimals


def _round_to_bfloat16(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to 8 significant bits, ties to even."""
    _, exponents = np.frexp(values)
    last = np.maximum(exponents - 8, -133)
    return np.ldexp(np.rint(np.ldexp(values, -last)), last)
