"""Mistakes that mix batch rows."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import FloatArray, IntArray
from attention_core.call import ResolvedCall
from attention_core.checking.batch_orders import (
    BatchOrder,
    batch_size,
    common_orders,
    find_order,
    output_distances,
    weight_distances,
)
from attention_core.checking.variants import ChangedCall, CheckContext, Fields, Variant, resolve_repeated
from attention_core.checking.wrong_masks import change_mask_offset, change_masks
from attention_core.checking.wrong_positions import with_query_positions
from attention_core.dense import evaluate_query_block
from attention_core.interfaces import Mask
from attention_core.masks import Allowed, Causal, KeyAllowed, KeyLengths, Segments, Window, masks_in
from attention_core.tiles import apply_weights


def one_position(context: CheckContext) -> Iterator[Variant]:
    """One position of query 0, or one length, for all batch rows though each has its own.

    It is that of the first or last row, the smallest or largest, or that of a cache without padding; with a causal mask
    or a window that is another corner.
    """
    call = context.call
    if context.sent.positions is None and call.offset.size > 1 and call.offset.min() < call.offset.max():
        at_corners = any(isinstance(mask, (Causal, Window)) for mask in masks_in(call.mask))
        for offset in _usual(call.offset, *([] if at_corners else [call.key_length - call.query_length])):
            yield from change_mask_offset(context, np.asarray(offset), Causal, Window)
            if call.position is not None:
                yield from with_query_positions(context, offset)
                yield ChangedCall(resolve_repeated(replace(context.sent, offset=offset)))
    lengths = next((mask.lengths for mask in masks_in(call.mask) if isinstance(mask, KeyLengths)), None)
    if lengths is not None and lengths.size > 1 and lengths.min() < lengths.max():
        for length in _usual(lengths):
            yield from change_masks(context, partial(replace, lengths=np.full_like(lengths, length)), KeyLengths)


def _usual(numbers: IntArray, *others: int) -> list[int]:
    """Return one number for all, in the order in which they are tried."""
    flat = numbers.ravel()
    return list(dict.fromkeys(map(int, (flat[0], flat.max(), flat[-1], flat.min(), *others))))


def wrong_row_weights(context: CheckContext) -> Iterator[Variant]:
    """The weights of one batch row with the values of another, or its queries with the keys of another."""
    call, batch = context.call, batch_size(context.call)
    if batch < 2:
        return
    for changed, order in _weight_orders(context, batch):
        yield ChangedCall(call, partial(_evaluate_reordered, order.rows, changed), choices=order.choices)
    of_values = output_distances(context, reordered="value") if "output" in context.candidate else None
    order_of_values = None if of_values is None else find_order(batch, of_values)
    if order_of_values is not None and call.value is not None:
        value = _taken(call.value, order_of_values.rows, call)
        yield ChangedCall(replace(call, stored_value=value), choices=order_of_values.choices)
    for rows in common_orders(batch):
        yield context.changed(stored_key=_taken(call.key, rows, call))


def _weight_orders(context: CheckContext, batch: int) -> Iterator[tuple[frozenset[str], BatchOrder]]:
    """Yield which fields may have the weights of other batch rows, and of which rows.

    A permutation of the batch rows in the weights alone is another mistake, rows in another order.
    """
    of_output = output_distances(context, reordered="weights") if "output" in context.candidate else None
    order = None if of_output is None else find_order(batch, of_output)
    if order is not None:
        yield frozenset(("output",)), order
        if context.candidate.keys() & {"scores", "logsumexp"}:
            yield frozenset(context.candidate), order
    order = find_order(batch, weight_distances(context)) if "weights" in context.candidate else None
    if order is not None:
        if len(set(order.rows.tolist())) < batch:
            yield frozenset(("weights",)), order
        if of_output is not None:
            yield frozenset(("weights", "output")), order


def _evaluate_reordered(
    order: IntArray, changed: frozenset[str], call: ResolvedCall, rows: slice
) -> tuple[Fields, FloatArray]:
    fields, maximum = evaluate_query_block(call, rows, {*call.include, "weights", "logits"})
    reordered = {name: fields[name][order] for name in changed - {"output"}}
    if "output" in changed and call.value is not None:
        reordered["output"] = apply_weights(fields["weights"][order], call.value, fields["logits"][order])
    return {**fields, **reordered}, maximum


def wrong_row_mask(context: CheckContext) -> Iterator[Variant]:
    """The mask of another batch row; or, where batch and heads are one axis, masks tiled instead of repeated."""
    call = context.call
    for order in common_orders(batch_size(call)):
        # The mask of the first row for all rows is another mistake, one position for all.
        if order.any():
            yield from change_masks(context, partial(_reordered, order=order, call=call))
    if len(call.score_shape) == 4 and call.score_shape[0] > 1 < call.score_shape[1]:
        batch, heads = call.score_shape[:2]
        yield from change_masks(context, partial(_tiled, order=np.arange(batch * heads).reshape(batch, heads) % batch))


def _taken(array: NDArray[Any], order: IntArray, call: ResolvedCall) -> NDArray[Any]:
    """Return the batch rows of an array in another order; of an array without them, itself."""
    return array[order] if array.ndim == len(call.score_shape) and array.shape[0] == len(order) else array


def _reordered(mask: Mask, order: IntArray, call: ResolvedCall) -> Mask:
    if isinstance(mask, KeyLengths):
        return replace(mask, lengths=_taken(mask.lengths, order, call))
    if isinstance(mask, (Allowed, KeyAllowed)):
        return replace(mask, allowed=_taken(mask.allowed, order, call))
    if isinstance(mask, (Causal, Window)) and mask.prefix is not None:
        return replace(mask, prefix=_taken(mask.prefix, order, call))
    if isinstance(mask, Segments):
        queries, keys = (_taken(numbers, order, call) for numbers in (mask.query_segments, mask.key_segments))
        return replace(mask, query_segments=queries, key_segments=keys)
    return mask


def _tiled(mask: Mask, order: IntArray) -> Mask:
    """Return the mask with the batch rows tiled over batch and heads instead of repeated."""
    if isinstance(mask, KeyLengths) and mask.lengths.shape[:2] == (len(order), 1):
        return replace(mask, lengths=mask.lengths[order, 0])
    if isinstance(mask, Allowed) and mask.allowed.ndim == 4 and mask.allowed.shape[:2] == (len(order), 1):
        return replace(mask, allowed=mask.allowed[order, 0])
    return mask
