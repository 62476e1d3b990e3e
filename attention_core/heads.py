"""Heads: packed into the last axis, or grouped so that several query heads share a key and value head."""

from dataclasses import replace

import numpy as np

from attention_core.arrays import FloatArray, Leading
from attention_core.call import Heads, ResolvedCall
from attention_core.errors import InvalidValue, ShapeMismatch
from attention_core.shapes import part


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


def group_size(query: FloatArray, key: FloatArray, value: FloatArray | None) -> int:
    """Return how many query heads share a key and value head; 1 unless the rank is 4, where heads have an axis.

    Query head h uses key head h // (Hq/Hkv).  Everything else broadcasts.
    Ainslie et al. 2023, "GQA: Training Generalized Multi-Query Transformer Models", section 2.2.
    """
    if query.ndim != 4 or key.ndim != 4:
        return 1
    if value is not None and value.ndim == 4 and value.shape[1] != key.shape[1]:
        raise ShapeMismatch(
            ("value",),
            expected=f"{key.shape[1]} heads, as many as key has",
            received=f"{value.shape[1]}, since value has shape {list(value.shape)}",
            advice="Keys and values come in the same heads.",
        )
    query_heads, key_heads = query.shape[1], key.shape[1]
    if query_heads == key_heads:
        return 1
    if key_heads == 0 or query_heads % key_heads:
        raise ShapeMismatch(
            ("key",),
            expected=f"a number of key heads that divides the {query_heads} query heads",
            received=f"{key_heads}, since key has shape {list(key.shape)}",
            advice="Each key head serves the same number of query heads.",
        )
    return query_heads // key_heads


def shape_repeated(array: FloatArray, times: int) -> FloatArray:
    """Return the array itself, or one that holds nothing in the shape that it has with each head repeated."""
    if times == 1:
        return array
    shape = (*array.shape[:1], array.shape[1] * times, *array.shape[2:])
    return np.broadcast_to(np.empty((), dtype=array.dtype), shape)


def repeat_heads(call: ResolvedCall) -> ResolvedCall:
    """Return the call with a key and value head of its own for each query head, in memory."""
    if call.group == 1:
        return call
    value = call.value
    return replace(
        call,
        key=np.repeat(call.key, call.group, axis=1),
        value=np.repeat(value, call.group, axis=1) if value is not None and value.ndim == 4 else value,
        group=1,
    )


def within(call: ResolvedCall, leading: Leading) -> ResolvedCall:
    """Return the call for a block of the leading axes of its scores, which must not reach beyond a group of heads."""
    own = tuple(slice(None) if size == 1 else cut for size, cut in zip(call.scores[:-2], leading, strict=True))
    shared = own
    if call.group > 1:
        head = leading[1].start // call.group
        shared = (own[0], slice(head, head + 1))
    value = call.value
    if value is not None:
        value = part(value, shared if value.ndim == 4 else own)
    return replace(
        call,
        query=part(call.query, own),
        key=part(call.key, shared),
        value=value,
        score_model=call.score_model.within(leading),
        normalizer=call.normalizer.within(leading),
        mask=None if call.mask is None else call.mask.within(leading),
        offset=call.offset if call.offset.ndim < 2 else part(call.offset, leading),
        bias=None if call.bias is None else part(call.bias, leading),
        position=None if call.position is None else call.position.within(leading),
        group=1,
        scores=(*(cut.stop - cut.start for cut in leading), *call.scores[-2:]),
    )
