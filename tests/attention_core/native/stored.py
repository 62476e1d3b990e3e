"""Keys and values in two bytes a number: float16, and the bits of bfloat16."""

import numpy as np

from attention_core import BFLOAT16
from attention_core.dtypes import DTYPES

STORED = {"float16": np.dtype(np.float16), "bfloat16": BFLOAT16}
"""NumPy type of stored numbers, by dtype."""


def stored(array, dtype):
    """The numbers of an array as they are stored, rounded to the nearest, axes in the same order in memory."""
    rounded = DTYPES[dtype].round(np.asarray(array, np.float32))
    if dtype == "float16":
        return rounded
    return (rounded.view(np.uint32) >> 16).astype(np.uint16).view(BFLOAT16)


def in_two_bytes(arguments, dtype):
    """The arguments of a call with keys and values that are stored in two bytes a number."""
    return {**arguments, **{name: stored(arguments[name], dtype) for name in ("key", "value")}, "dtype": dtype}


def in_four_bytes(arguments, dtype):
    """The same with the same numbers in float32."""
    rounded = {name: DTYPES[dtype].round(np.asarray(arguments[name], np.float32)) for name in ("key", "value")}
    return {**arguments, **{name: array.astype(np.float32) for name, array in rounded.items()}, "dtype": dtype}
