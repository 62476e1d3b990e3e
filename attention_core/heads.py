"""Heads: packed into the last axis, and grouped-query attention, where query heads share a key and value head."""

from dataclasses import replace

import numpy as np

from attention_core.arrays import FloatArray, LeadingSlices
from attention_core.call import Heads, ResolvedCall
from attention_core.errors import InvalidValue, ShapeMismatch
from attention_core.shapes import Shape, slice_leading


def unpack_heads(array: FloatArray, heads: int, name: str) -> FloatArray:
    """Return (B, L, H·D) as (B, H, L, D).

    :param array: rank 3.
    :param heads: H, which divides the last axis.
    :param name: argument's name, for the error.

    Raises ShapeMismatch.
    """
    if array.ndim != 3:
        raise ShapeMismatch(
            (name,),
            expected="rank 3, (batch, length, heads · features), because of {heads}",
            received=f"shape {list(array.shape)}",
            advice="Leave out {heads} when the heads have an axis of their own.",
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


def pack_heads(array: FloatArray) -> FloatArray:
    """Return (B, H, L, D) as (B, L, H·D)."""
    batch, heads, length, features = array.shape
    return array.swapaxes(1, 2).reshape(batch, length, heads * features)


def require_rank_four(array: FloatArray, name: str) -> None:
    """Raise ShapeMismatch unless the array has the four axes of the layout bshd.

    :param array: query, key, value or past, as it was sent.
    :param name: argument's name, for the error.
    """
    if array.ndim != 4:
        raise ShapeMismatch(
            (name,),
            expected="rank 4, (batch, length, heads, features), because of {layout=bshd}",
            received=f"rank {array.ndim}, shape {list(array.shape)}",
            advice="Leave out {layout} for vectors without an axis of heads, and for packed heads.",
        )


def arrange_output(call: ResolvedCall, array: FloatArray) -> FloatArray:
    """Return output or vectors, (B, H, L, D), as the call was sent: packed (B, L, H·D), or in its layout; contiguous.

    :param call: the call, for its packed heads and its layout; of any other call the array itself is returned.
    :param array: rank 4 if heads are packed or the layout is bshd, else any rank.
    """
    return pack_heads(array) if call.has_packed_heads else arrange_cache(call, array)


def arranged_shape(call: ResolvedCall, shape: Shape) -> Shape:
    """Return the shape in which `arrange_output` returns an array of the shape (B, H, L, D)."""
    if not call.has_packed_heads and call.layout == "bhsd":
        return shape
    batch, heads, length, features = shape
    return (batch, length, heads * features) if call.has_packed_heads else (batch, length, heads, features)


def restore_output(call: ResolvedCall, array: FloatArray, name: str) -> FloatArray:
    """Return an array that is arranged as the output of a call, in the shape `arranged_shape`, as (B, H, L, D) again.

    :param call: the call, for its packed heads and its layout.
    :param array: output, or what has its shape.
    :param name: argument's name, for errors.
    """
    if call.has_packed_heads:
        return unpack_heads(array, call.score_shape[1], name)
    return array if call.layout == "bhsd" else array.swapaxes(1, 2)


def arrange_cache(call: ResolvedCall, array: FloatArray) -> FloatArray:
    """Return past or present, (B, H, L, D), in the layout of the call, contiguous; its heads are never packed.

    :param call: the call, for its layout.
    :param array: rank 4 if the layout is bshd, else any rank.
    """
    return array if call.layout == "bhsd" else np.ascontiguousarray(array.swapaxes(1, 2))


def check_heads(heads: Heads) -> None:
    """Raise InvalidValue unless both numbers of heads are at least 1."""
    for count, name in ((heads.query, "query"), (heads.key_value, "key_value")):
        if count < 1:
            raise InvalidValue(
                ("heads", name), expected="at least 1 head", received=str(count), advice="Count the packed heads."
            )


def count_queries_per_kv_head(query: FloatArray, key: FloatArray, value: FloatArray | None) -> int:
    """Return Hq/Hkv, the number of query heads that share a key and value head; 1 unless query and key have rank 4.

    Query head h uses key and value head h // (Hq/Hkv).

    :param query: (B, Hq, Lq, Dq), or another rank.
    :param key: (B, Hkv, Lk, Dk), or another rank.
    :param value: (B, Hkv, Lk, Dv), another rank, or None.

    Raises ShapeMismatch unless Hkv divides Hq and value has the heads of key.

    Ainslie et al. 2023, "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints", section
    2.2.
    """
    if query.ndim != 4 or key.ndim != 4:
        return 1
    if value is not None and value.ndim == 4 and value.shape[1] != key.shape[1]:
        raise ShapeMismatch(
            ("value",),
            expected=f"{key.shape[1]} heads, as many as key has",
            received=f"{value.shape[1]}, since value has {{value.shape}}",
            advice="Keys and values come in the same heads.",
        )
    query_heads, key_heads = query.shape[1], key.shape[1]
    if query_heads == key_heads:
        return 1
    if key_heads == 0 or query_heads % key_heads:
        raise ShapeMismatch(
            ("key",),
            expected=f"a number of key heads that divides the {query_heads} query heads",
            received=f"{key_heads}, since key has {{key.shape}}",
            advice="Each key head serves the same number of query heads.",
        )
    return query_heads // key_heads


def placeholder_with_repeated_heads(array: FloatArray, times: int) -> FloatArray:
    """Return an array of the shape with each head repeated, for shape checks: `array` itself if `times` is 1.

    The other one is a broadcast scalar, so that it takes no memory.
    """
    if times == 1:
        return array
    shape = (*array.shape[:1], array.shape[1] * times, *array.shape[2:])
    return np.broadcast_to(np.empty((), dtype=array.dtype), shape)


def repeat_kv_heads(call: ResolvedCall) -> ResolvedCall:
    """Return the call with key and value copied so that each query head has its own; the call itself if it has."""
    if call.queries_per_kv_head == 1:
        return call
    value = call.stored_value
    if value is not None and value.ndim == 4:
        value = np.repeat(value, call.queries_per_kv_head, axis=1)
    return replace(
        call,
        stored_key=np.repeat(call.stored_key, call.queries_per_kv_head, axis=1),
        stored_value=value,
        queries_per_kv_head=1,
    )


def slice_call(call: ResolvedCall, leading: LeadingSlices) -> ResolvedCall:
    """Return the call restricted to a block of the leading axes of its scores.

    :param call: any call.
    :param leading: one slice for each leading axis; all its heads must share one key and value head.
    """
    query_slices, key_slices, value_slices = input_slices(call, leading)
    return replace(
        call,
        query=slice_leading(call.query, query_slices),
        stored_key=slice_leading(call.stored_key, key_slices),
        stored_value=None if call.stored_value is None else slice_leading(call.stored_value, value_slices),
        score_model=call.score_model.slice_leading(leading),
        normalizer=call.normalizer.slice_leading(leading),
        mask=None if call.mask is None else call.mask.slice_leading(leading),
        offset=call.offset if call.offset.ndim < 2 else slice_leading(call.offset, leading),
        bias=None if call.bias is None else slice_leading(call.bias, leading),
        position=None if call.position is None else call.position.slice_leading(leading),
        queries_per_kv_head=1,
        key_positions=None if call.key_positions is None else slice_leading(call.key_positions, leading),
        score_modifier=None if call.score_modifier is None else call.score_modifier.slice_leading(leading),
        score_shape=(*(block.stop - block.start for block in leading), *call.score_shape[-2:]),
    )


def input_slices(call: ResolvedCall, leading: LeadingSlices) -> tuple[LeadingSlices, LeadingSlices, LeadingSlices]:
    """Return a block's slices of the leading axes of query, key and value.

    :param call: any call.
    :param leading: one slice for each leading axis of the scores; all its heads must share one key and value head.
    """
    queries = tuple(
        slice(None) if size == 1 else block for size, block in zip(call.score_shape[:-2], leading, strict=True)
    )
    if call.queries_per_kv_head == 1:
        return queries, queries, queries
    head = leading[1].start // call.queries_per_kv_head
    keys = (queries[0], slice(head, head + 1))
    return queries, keys, keys if call.stored_value is not None and call.stored_value.ndim == 4 else queries
