"""How numbers of each dtype look in JSON."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core.dtypes import DTYPES

BYTES_PER_NUMBER = {"float64": 20, "float32": 12, "float16": 9, "bfloat16": 9}
"""Approximate bytes of a number of each dtype in JSON, its comma included."""


def shortest(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return an array whose numbers are written with no more digits than read back to the same value in `dtype`.

    JSON writers know the shortest float64 and float32.  Half types have 65 536 values each, so theirs are looked up.
    """
    if dtype == "float16":
        return _float16_decimals()[array.astype(np.float16).view(np.uint16)]
    if dtype == "bfloat16":
        return _bfloat16_decimals()[array.astype(np.float32).view(np.uint32) >> 16]
    return array


def rounded(array: NDArray[Any], decimals: int) -> NDArray[Any]:
    """Return float64 numbers rounded to `decimals` decimal places, half to even of the exact value, as `round` does.

    10^decimals is a float64, and so is the nearest integer to number · 10^decimals below 2^52; their quotient, rounded
    once, is the float64 nearest to the decimal.  Only where the product lies so near to a half that its own rounding
    may have moved it across, or is larger, is the number rounded by itself.  What rounds to zero has no sign.
    """
    numbers = array.astype(np.float64)
    power = 10.0**decimals
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = numbers * power
        size = np.abs(scaled)
        near_half = np.abs(size - np.floor(size) - 0.5) <= size * 2.0**-50
        nearest = np.asarray(np.rint(scaled) / power)
    alone = np.isfinite(numbers) & (near_half | (size >= 2.0**52))
    nearest[alone] = [round(number, decimals) for number in numbers[alone].tolist()]
    # −0 + 0 is 0; every other number stays what it is.
    return np.asarray(np.where(np.isfinite(numbers), nearest, numbers) + 0.0)


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
        found = undecided & (DTYPES["bfloat16"].round(rounded) == values)
        decimals[found] = rounded[found]
        undecided &= ~found
    return decimals
