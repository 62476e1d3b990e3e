"""The call that every precision is held against: inputs as they are stored, everything after that in float64."""

from dataclasses import replace

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.call import AttentionCall
from attention_core.dtypes import dtype_named


def in_float64(call: AttentionCall) -> AttentionCall:
    """Round query, key, value and past to the storage type of the call, and let all else be computed in float64.

    Raises InvalidValue with the path of a number that the storage type cannot hold.
    """
    dtype = dtype_named(call.dtype, call.query, call.key, call.value)

    def stored(array: FloatArray | None, name: str) -> FloatArray | None:
        return None if array is None else dtype.load(array, (name,)).astype(np.float64)

    return replace(
        call,
        query=dtype.load(call.query, ("query",)).astype(np.float64),
        key=dtype.load(call.key, ("key",)).astype(np.float64),
        value=stored(call.value, "value"),
        past_key=stored(call.past_key, "past_key"),
        past_value=stored(call.past_value, "past_value"),
        dtype="float64",
    )
