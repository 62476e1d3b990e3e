"""Heads: packed into the last axis, or grouped so that several query heads share a key and value head."""

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.call import Heads
from attention_core.errors import InvalidValue, ShapeMismatch


def unpack(array: FloatArray, heads: int, name: str) -> FloatArray:
    """Split (B, L, H·D) into (B, H, L, D)."""
    if array.ndim != 3:
        raise ShapeMismatch(
            (name,),
            expected="rank 3, (batch, length, heads · features), since heads is given",
            received=f"shape {list(array.shape)}",
            advice="Leave heads out when the heads have an axis of their own.",
        )
    batch, length, packed = array.shape
    if packed % heads:
        raise ShapeMismatch(
            (name,),
            expected=f"a last axis that {heads} heads share evenly",
            received=f"{packed}, since {name} has shape {list(array.shape)}",
            advice="The last axis must be heads · features.",
        )
    return array.reshape(batch, length, heads, packed // heads).swapaxes(1, 2)


def pack(array: FloatArray) -> FloatArray:
    """Join (B, H, L, D) into (B, L, H·D)."""
    batch, heads, length, features = array.shape
    return array.swapaxes(1, 2).reshape(batch, length, heads * features)


def check_heads(heads: Heads) -> None:
    """Raise InvalidValue unless there is a head of each kind."""
    for count, name in ((heads.query, "query"), (heads.key_value, "key_value")):
        if count < 1:
            raise InvalidValue(
                ("heads", name), expected="at least 1 head", received=str(count), advice="Count the packed heads."
            )


def group(query: FloatArray, key: FloatArray, value: FloatArray | None) -> tuple[FloatArray, FloatArray | None]:
    """Return key and value with each head repeated for the query heads that share it, one after the other.

    Query head h uses key head h // (Hq/Hkv).  Only at rank 4; everything else broadcasts.
    Ainslie et al. 2023, "GQA: Training Generalized Multi-Query Transformer Models", section 2.2.
    """
    if query.ndim != 4 or key.ndim != 4:
        return key, value
    if value is not None and value.ndim == 4 and value.shape[1] != key.shape[1]:
        raise ShapeMismatch(
            ("value",),
            expected=f"{key.shape[1]} heads, as many as key has",
            received=f"{value.shape[1]}, since value has shape {list(value.shape)}",
            advice="Keys and values come in the same heads.",
        )
    query_heads, key_heads = query.shape[1], key.shape[1]
    if query_heads == key_heads:
        return key, value
    if key_heads == 0 or query_heads % key_heads:
        raise ShapeMismatch(
            ("key",),
            expected=f"a number of key heads that divides the {query_heads} query heads",
            received=f"{key_heads}, since key has shape {list(key.shape)}",
            advice="Each key head serves the same number of query heads.",
        )
    times = query_heads // key_heads
    grouped = np.repeat(key, times, axis=1)
    return grouped, np.repeat(value, times, axis=1) if value is not None and value.ndim == 4 else value
