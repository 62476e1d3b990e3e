"""Calls of the client, held against the core."""

from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from attention_client.names import OUTPUTS
from tests.core_calls import with_infinities
from tests.sampling import draws
from tests.service.strategies import Request

DRAWN = settings(max_examples=draws(15))

NOT_FINITE = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0])

BITS = {8: np.uint64, 4: np.uint32, 2: np.uint16}

ML_DTYPES = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def assert_same_bits(received: np.ndarray, expected: np.ndarray, name: str = "") -> None:
    """Fail unless two arrays have the same bits; any NaN equals any other."""
    assert (received.dtype, received.shape) == (expected.dtype, expected.shape), name
    bits = BITS[expected.dtype.itemsize]
    same = np.ascontiguousarray(received).view(bits) == np.ascontiguousarray(expected).view(bits)
    assert (same | (np.isnan(received) & np.isnan(expected))).all(), (name, received, expected)


def as_arguments(asked: Request, draw: st.DrawFn) -> dict[str, Any]:
    """Return a request as arguments: vectors as arrays, other tensors as arrays or lists, the dtype named or theirs."""
    dtype = asked.get("dtype") or "float64"
    arguments = {
        name: value for name, value in asked.items() if name not in ("labels", "top_k", "decimals", "dtype", "include")
    }
    own = draw(st.booleans())
    for name in ("query", "key", "value", "past_key", "past_value"):
        if arguments.get(name) is not None:
            arguments[name] = np.array(arguments[name], np.float64)
            if own:
                arguments[name] = arguments[name].astype(ML_DTYPES[dtype])
    if not own:
        arguments["dtype"] = dtype
    if arguments.get("bias") is not None:
        arguments["bias"] = with_infinities(arguments["bias"])
    if draw(st.booleans()):
        for name in ("mask", "score_model", "normalizer", "position"):
            if isinstance(arguments.get(name), dict):
                arguments[name] = {one: _as_array(value) for one, value in arguments[name].items()}
    return arguments


def fields_of(asked: Request) -> tuple[str, ...] | None:
    """Return the outputs that a request asks for; None for those that it gets by default."""
    return tuple(field for field in asked.get("include") or () if field in OUTPUTS) or None


def _as_array(value: Any) -> Any:
    return np.array(value) if isinstance(value, list) else value
