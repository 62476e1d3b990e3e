"""The float64 reference of a call: inputs rounded to the call's storage type, all arithmetic in float64."""

from dataclasses import replace
from typing import Any

import numpy as np

from attention_core.call import AttentionCall
from attention_core.dtypes import resolve_dtype


def to_float64_reference(call: AttentionCall) -> AttentionCall:
    """Return the call with query, key, value and past rounded to its storage type, to be computed in float64.

    :param call: any call; bias and parameters are kept as they are.

    Raises InvalidValue with the path of a finite number that the storage type cannot hold.
    """
    dtype = resolve_dtype(call.dtype, call.query, call.key, call.value)
    names = ("query", "key", "value", "past_key", "past_value")
    given = {name: array for name in names if (array := getattr(call, name)) is not None}
    stored: dict[str, Any] = {name: dtype.load(array, (name,)).astype(np.float64) for name, array in given.items()}
    return replace(call, **stored, dtype="float64")
