"""Mistakes in the grouping of heads, and in the axes of heads and features."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray, IntArray
from attention_core.call import ResolvedCall
from attention_core.checking.variants import (
    ChangedCall,
    ChangedFields,
    CheckContext,
    Fields,
    Reference,
    ResultChange,
    Variant,
    resolve_repeated,
)
from attention_core.dense import evaluate_dense
from attention_core.errors import CallError
from attention_core.heads import unpack_heads


def heads_tiled(context: CheckContext) -> Iterator[Variant]:
    """Query head h uses key head h modulo their number, instead of h divided by the size of a group."""
    heads, shared = count_heads(context)
    if 1 < shared < heads:
        yield _with_key_heads(context, np.arange(heads) % shared)


def heads_grouped_wrongly(context: CheckContext) -> Iterator[Variant]:
    """Query head h divided by the number of key heads instead of the size of a group; or the first key head for all."""
    heads, shared = count_heads(context)
    if not 1 < shared < heads:
        return
    if heads <= shared * shared:
        yield _with_key_heads(context, np.arange(heads) // shared)
    yield _with_key_heads(context, np.zeros(heads, dtype=int))


def count_heads(context: CheckContext) -> tuple[int, int]:
    """Return the numbers of query heads and of key heads; 0 without a head axis."""
    sent, heads = context.sent, context.call.features.n_heads
    if heads is None:
        return 0, 0
    if sent.heads is not None:
        return heads, sent.heads.key_value
    return heads, sent.key.shape[1] if sent.key.ndim == 4 else 0


def _with_key_heads(context: CheckContext, shared: IntArray) -> ChangedCall:
    """Return the variant in which query head h uses key head ``shared[h]``."""
    call, (heads, count) = context.call, count_heads(context)
    order = shared * (heads // count)
    value = call.value
    if value is not None and value.ndim == 4 and value.shape[1] == heads:
        value = value[:, order]
    return ChangedCall(replace(call, stored_key=call.key[:, order], stored_value=value))


def heads_reshaped(context: CheckContext) -> Iterator[Variant]:
    """(B, L, H·D) read or written as (B, H, L, D): reshaped, but not transposed."""
    sent = context.sent
    if sent.heads is None:
        return
    shared = _split(sent.key, sent.heads.key_value)
    value = None if sent.value is None else _split(sent.value, sent.heads.key_value)
    reshaped = replace(sent, query=_split(sent.query, sent.heads.query), key=shared, value=value, heads=None)
    call = resolve_repeated(reshaped)
    yield ChangedCall(call)
    if "output" in context.candidate:
        yield ResultChange(lambda reference: iter([ChangedFields(_joined(reference.fields))]))
        yield ResultChange(lambda _: iter([ChangedFields(_joined(evaluate_dense(call, context.should_stop, None)[0]))]))


def heads_and_lengths_swapped(context: CheckContext) -> Iterator[Variant]:
    """(B, H, L, D) read as (B, L, H, D): heads attend to one another at each place, with the masks or without them."""
    if context.call.layout == "bhsd":
        yield from _in_the_other_layout(context)


def layout_mistaken(context: CheckContext) -> Iterator[Variant]:
    """(B, L, H, D), the layout bshd, read as (B, H, L, D): the same mistake the other way around."""
    if context.call.layout == "bshd":
        yield from _in_the_other_layout(context)


def _in_the_other_layout(context: CheckContext) -> Iterator[Variant]:
    """Yield what attention along the axis of the heads gives, with the masks and without them."""
    if context.sent.query.ndim != 4:
        return
    without: dict[str, Any] = {"mask": None, "bias": None}
    for masks in ({}, without):
        with suppress(CallError):
            call = resolve_repeated(replace(context.sent, layout="bshd", **masks))
            shapes = {
                name: call.score_shape[:-1] if name == "logsumexp" else call.score_shape for name in context.candidate
            }
            if all(shapes[name] == field.shape for name, field in context.candidate.items() if name != "output"):
                yield ResultChange(partial(_swapped_back, call, context))


def _swapped_back(call: ResolvedCall, context: CheckContext, reference: Reference) -> Iterator[ChangedFields]:
    fields = evaluate_dense(call, context.should_stop, None)[0]
    output = {"output": fields["output"].swapaxes(1, 2)} if "output" in fields else {}
    if all(array.shape == reference.fields["output"].shape for array in output.values()):
        yield ChangedFields({**fields, **output})


def _split(packed: FloatArray, heads: int) -> FloatArray:
    batch, length, features = packed.shape
    return packed.reshape(batch, heads, length, features // heads)


def _joined(fields: Fields) -> Fields:
    """Return the fields with the output reshaped to packed heads without transposing, and unpacked again."""
    output = fields["output"]
    batch, heads, length, features = output.shape
    return {**fields, "output": unpack_heads(output.reshape(batch, length, heads * features), heads, "output")}
