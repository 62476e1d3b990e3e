"""Forward and backward pass of some rows against all keys they see, composed of each step's backward pass."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from attention_core.arrays import BoolArray, FloatArray, Keys, Logits, Projection, Queries, Scores, Values, Weights
from attention_core.blockwise.blocks import LeadingBlock, first_row_index, join_slices, split_slice
from attention_core.call import ResolvedCall
from attention_core.gradients.accumulation import PartialGradients
from attention_core.interfaces import NormalizerGradient
from attention_core.reductions import all_finite, sum_to_shape
from attention_core.score_tile import Coverage, Tile, slice_tile
from attention_core.tiles import (
    apply_mask_in_place,
    apply_weights,
    normalize,
    row_maximum,
    write_biased_scores,
    write_capped_scores,
    write_logits,
)


class TileInputs(NamedTuple):
    """Inputs of some rows, and of the keys from the first to the last that one of them sees."""

    tile: Tile
    shape: tuple[int, ...]
    """(…, q, k)."""
    queries: Queries
    """(…, q, Dq)."""
    keys: Keys
    """(…, k, Dk)."""
    values: Values
    """(…, k, Dv)."""
    projections: tuple[Projection, Projection]
    """The score model's projections of queries and keys."""


class _ForwardState(NamedTuple):
    """Results of the forward pass that the backward pass needs."""

    logits: Logits
    """(…, q, k); −∞ for a hidden key."""
    weights: Weights
    """(…, q, k)."""
    hidden: BoolArray | None
    """Hidden pairs, (…, q, k); None if there are none."""
    nan_rows: BoolArray | None
    """Rows whose weights are NaN, (…, q, 1); None if there are none."""


def differentiate_rows(
    block: LeadingBlock,
    rows: slice,
    columns: int,
    output: FloatArray,
    maxima: FloatArray,
    output_gradient: FloatArray,
    chosen: BoolArray | None,
) -> PartialGradients:
    """Fill the output and the maxima of some rows, and return the gradients that they contribute.

    :param block: block of the leading axes.
    :param rows: queries of the block.
    :param columns: number of keys at a time of which it is asked whether the rows see any.
    :param output: (…, q, Dv), filled by this function.
    :param maxima: largest logit of each row, (…, q), filled by this function.
    :param output_gradient: gradient of the loss with respect to the output, (…, q, Dv).
    :param chosen: rows that contribute, (…, q), the others as if they saw no key; None for all.
    """
    call = block.call
    inputs = _gather_inputs(block, rows, columns)
    forward = _forward(block, inputs, output, maxima, chosen)
    weight_gradient, value_gradient = _backward_apply_weights(inputs, forward, output_gradient)
    of_normalizer = _backward_normalizer(call, forward, weight_gradient)
    biased_gradient, of_modifier = _backward_modifier(call, inputs, forward, of_normalizer.logits)
    bias_gradient = (
        None if call.bias is None else sum_to_shape(biased_gradient, slice_tile(call.bias, inputs.tile).shape)
    )
    score_gradient = _backward_softcap(call, inputs, biased_gradient)
    queries, keys = _zero_non_finite(inputs.queries), _zero_non_finite(inputs.keys)
    of_model = call.score_model.backward(queries, keys, score_gradient)
    return PartialGradients(
        tile=inputs.tile,
        query=of_model.queries,
        key=of_model.keys,
        value=value_gradient,
        bias=bias_gradient,
        score_model=of_model.parameters,
        normalizer=of_normalizer.parameters,
        score_modifier=of_modifier,
    )


def _gather_inputs(block: LeadingBlock, rows: slice, columns: int) -> TileInputs:
    """Return the inputs of some rows and of the keys from the first to the last that one of them may see."""
    call = block.call
    if call.value is None:
        raise ValueError("a call without values has no output to differentiate")
    seen = [
        keys
        for keys in split_slice(slice(0, call.key_length), columns)
        if block.coverage(call.tile(rows, keys)) is not Coverage.EMPTY
    ]
    visible = join_slices(seen)
    queries, keys = call.query[..., rows, :], call.key[..., visible, :]
    return TileInputs(
        call.tile(rows, visible),
        (*call.score_shape[:-2], rows.stop - rows.start, visible.stop - visible.start),
        queries,
        keys,
        call.value[..., visible, :],
        (call.score_model.project_queries(queries), call.score_model.project_keys(keys)),
    )


def _forward(
    block: LeadingBlock, inputs: TileInputs, output: FloatArray, maxima: FloatArray, chosen: BoolArray | None
) -> _ForwardState:
    """Evaluate the rows, fill their output and maxima, and return what the backward pass needs."""
    call, tile = block.call, inputs.tile
    logits = np.empty(inputs.shape, dtype=call.dtype.compute)
    write_logits(call, tile, *inputs.projections, logits)
    if block.coverage(tile) is not Coverage.FULL:
        apply_mask_in_place(call, tile, logits)
    if chosen is not None:
        np.copyto(logits, -np.inf, where=~chosen[..., None])
    maximum = row_maximum(logits)
    maxima[...] = maximum[..., 0]
    first_index = (*first_row_index(block, tile.rows), tile.columns.start)
    weights = normalize(call.normalizer, logits, maximum, first_index)
    output[...] = apply_weights(weights, inputs.values, logits)
    has_hidden = logits.min(initial=np.inf) == -np.inf or not all_finite(maximum)
    no_nan_rows = call.normalizer.propagates_non_finite or (maximum < np.inf).all()
    return _ForwardState(
        logits,
        weights,
        hidden=np.isneginf(logits) if has_hidden else None,
        nan_rows=None if no_nan_rows else ~(maximum < np.inf),
    )


def _backward_apply_weights(
    inputs: TileInputs, forward: _ForwardState, output_gradient: FloatArray
) -> tuple[Weights, FloatArray]:
    """Return ∂weights = ∂output · valueᵀ, 0 where a key is hidden, and ∂value = weightsᵀ · ∂output."""
    weight_gradient = sum_to_shape(np.matmul(output_gradient, inputs.values.swapaxes(-1, -2)), inputs.shape)
    if forward.hidden is not None:
        np.copyto(weight_gradient, 0, where=forward.hidden)
    value_gradient = apply_weights(forward.weights.swapaxes(-1, -2), output_gradient, forward.logits.swapaxes(-1, -2))
    return weight_gradient, value_gradient


def _backward_normalizer(call: ResolvedCall, forward: _ForwardState, weight_gradient: Weights) -> NormalizerGradient:
    """Return ∂logits, 0 where a key is hidden and NaN at the visible keys of a NaN row, and ∂parameters."""
    gradient = call.normalizer.backward(forward.logits, forward.weights, weight_gradient)
    if forward.nan_rows is not None:
        np.copyto(gradient.logits, np.nan, where=forward.nan_rows)
    if forward.hidden is not None:
        np.copyto(gradient.logits, 0, where=forward.hidden)
    return gradient


def _backward_modifier(
    call: ResolvedCall, inputs: TileInputs, forward: _ForwardState, gradient: Logits
) -> tuple[Logits, Mapping[str, FloatArray]]:
    """Return ∂(capped scores + bias + ALiBi), 0 where a key is hidden, and ∂parameters; ∂logits without a modifier."""
    if call.score_modifier is None:
        return gradient, {}
    biased = np.empty(inputs.shape, dtype=call.dtype.compute)
    write_biased_scores(call, inputs.tile, *inputs.projections, biased)
    return call.score_modifier.backward(biased, inputs.tile, gradient, forward.hidden)


def _backward_softcap(call: ResolvedCall, inputs: TileInputs, gradient: Logits) -> Scores:
    """Return ∂scores = ∂capped · (1 − tanh²), 0 where the cap is reached; ∂capped itself without a cap."""
    if call.softcap is None:
        return gradient
    slopes = np.empty(inputs.shape, dtype=call.dtype.compute)
    write_capped_scores(call, *inputs.projections, slopes)
    slopes /= call.softcap
    np.subtract(1, np.square(slopes, out=slopes), out=slopes)
    # A slope that is not finite belongs to a hidden score or to a NaN row, whose logit gradient is set already.
    np.copyto(slopes, 0, where=~np.isfinite(slopes))
    slopes *= gradient
    return slopes


def _zero_non_finite(vectors: FloatArray) -> FloatArray:
    """Return the vectors with 0 for NaN and ±∞: their own rows are NaN already, and no other row may become NaN."""
    return vectors if all_finite(vectors) else np.where(np.isfinite(vectors), vectors, 0)
