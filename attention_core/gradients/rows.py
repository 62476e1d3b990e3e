"""Some rows, forward and back: the chain rule, composed of what each piece knows of its own slope."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from attention_core.arrays import BoolArray, FloatArray, Keys, Logits, Queries, Scores, Side, Values, Weights
from attention_core.blockwise.blocks import Block, Span, first_position
from attention_core.blockwise.workspace import Workspace
from attention_core.call import ResolvedCall
from attention_core.gradients.shares import Share, add_parameters
from attention_core.interfaces import Tile
from attention_core.reductions import all_finite, sum_to
from attention_core.tiles import capped_in_place, hide_in_place, logits_in_place, mix, normalize, row_maximum


class _Met(NamedTuple):
    """Some rows, and the keys from the first to the last that one of them sees."""

    tile: Tile
    shape: tuple[int, ...]
    """(…, q, k)."""
    queries: Queries
    keys: Keys
    values: Values
    sides: tuple[Side, Side]
    """What the score model makes of queries and keys."""


class _Forward(NamedTuple):
    """What the way back needs of the way there."""

    logits: Logits
    weights: Weights
    clear: int
    """All of the first so many keys are visible to all of the rows."""
    hidden: BoolArray | None
    """Which pairs with the other keys have no part in anything; None for none of them."""
    poisoned: BoolArray | None
    """Which rows are NaN, (…, q, 1); None for none of them."""


def differentiate_rows(
    block: Block, rows: slice, output: FloatArray, upstream: FloatArray, share: Share, space: Workspace
) -> None:
    """Fill the output of some rows, and add what they contribute to the share's gradients.

    `output` and `upstream`, the gradient of it, are (…, q, Dv).
    """
    call, spans = block.call, block.visible(rows)
    met = _meet(call, rows, spans)
    forward = _forward(block, met, spans, output, space)
    weight_gradient, value_gradient = _back_through_mix(met, forward, upstream, space)
    logit_gradient = _back_through_normalizer(call, forward, weight_gradient, share)
    share.add_value(value_gradient, met.tile.columns)
    share.add_bias(logit_gradient, met.tile)
    score_gradient = _back_through_cap(call, met, logit_gradient, space)
    found = call.score_model.gradient(_finite(met.queries), _finite(met.keys), score_gradient)
    share.add_query(found.queries, rows)
    share.add_key(found.keys, met.tile.columns)
    add_parameters(share.score_model, found.parameters)


def _meet(call: ResolvedCall, rows: slice, spans: list[Span]) -> _Met:
    """Gather what meets."""
    if call.value is None:
        raise ValueError("a call without values has no output to come back from")
    columns = slice(spans[0].keys.start, spans[-1].keys.stop) if spans else slice(0, 0)
    queries, keys = call.query[..., rows, :], call.key[..., columns, :]
    return _Met(
        Tile(rows, columns, call.offset),
        (*call.scores[:-2], rows.stop - rows.start, columns.stop - columns.start),
        queries,
        keys,
        call.value[..., columns, :],
        (call.score_model.for_queries(queries), call.score_model.for_keys(keys)),
    )


def _forward(block: Block, met: _Met, spans: list[Span], output: FloatArray, space: Workspace) -> _Forward:
    """Evaluate the rows and keep what the way back needs."""
    call, tile = block.call, met.tile
    logits = space.array("logits", met.shape)
    logits_in_place(call, tile, *met.sides, logits)
    cut = _cut(spans)
    for part in cut:
        columns = slice(part.start - tile.columns.start, part.stop - tile.columns.start)
        hide_in_place(call, tile._replace(columns=part), logits[..., columns])
    maximum = row_maximum(logits)
    place = (*first_position(block, tile.rows), tile.columns.start)
    weights = normalize(call.normalizer, logits, maximum, place)
    output[...] = mix(weights, met.values, logits)
    clear = min((part.start for part in cut), default=tile.columns.stop) - tile.columns.start
    if logits[..., :clear].min(initial=np.inf) == -np.inf:
        clear = 0
    hidden = np.isneginf(logits[..., clear:])
    sound = call.normalizer.passes_non_finite or (maximum < np.inf).all()
    return _Forward(
        logits,
        weights,
        clear,
        hidden=hidden if hidden.any() else None,
        poisoned=None if sound else ~(maximum < np.inf),
    )


def _cut(spans: list[Span]) -> list[slice]:
    """Return the keys among those from the first span to the last that a mask hides from some rows, or from all."""
    within = [span.cut.keys for span in spans if span.cut is not None]
    between = [slice(one.keys.stop, two.keys.start) for one, two in pairwise(spans)]
    return [*within, *(gap for gap in between if gap.start < gap.stop)]


def _back_through_mix(
    met: _Met, forward: _Forward, upstream: FloatArray, space: Workspace
) -> tuple[Weights, FloatArray]:
    """From ∂output to ∂weights = ∂output · valueᵀ, 0 where a key is hidden, and ∂value = weightsᵀ · ∂output."""
    values = met.values.swapaxes(-1, -2)
    leading = np.broadcast_shapes(upstream.shape[:-2], values.shape[:-2])
    whole = space.array("weight gradient", (*leading, *met.shape[-2:]))
    weight_gradient = sum_to(np.matmul(upstream, values, out=whole), met.shape)
    if forward.hidden is not None:
        np.copyto(weight_gradient[..., forward.clear :], 0, where=forward.hidden)
    value_gradient = mix(forward.weights.swapaxes(-1, -2), upstream, forward.logits.swapaxes(-1, -2))
    return weight_gradient, value_gradient


def _back_through_normalizer(call: ResolvedCall, forward: _Forward, weight_gradient: Weights, share: Share) -> Logits:
    """From ∂weights to ∂logits: 0 where a key is hidden, NaN at the visible keys of a poisoned row."""
    found = call.normalizer.gradient(forward.logits, forward.weights, weight_gradient)
    add_parameters(share.normalizer, found.parameters)
    gradient = found.logits
    if forward.poisoned is not None:
        np.copyto(gradient, np.nan, where=forward.poisoned)
    if forward.hidden is not None:
        np.copyto(gradient[..., forward.clear :], 0, where=forward.hidden)
    return gradient


def _back_through_cap(call: ResolvedCall, met: _Met, gradient: Logits, space: Workspace) -> Scores:
    """From ∂capped to ∂scores = ∂capped · (1 − tanh²), 0 where the cap is reached."""
    if call.softcap is None:
        return gradient
    slopes = space.array("capped", met.shape)
    capped_in_place(call, *met.sides, slopes)
    slopes /= call.softcap
    np.subtract(1, np.square(slopes, out=slopes), out=slopes)
    # A score without a slope has no part in its row, or is part of a poisoned one.
    np.copyto(slopes, 0, where=~np.isfinite(slopes))
    slopes *= gradient
    return slopes


def _finite(vectors: FloatArray) -> FloatArray:
    """Put 0 where a number is not finite: the row it poisons is NaN already, and no other may hear of it."""
    return vectors if all_finite(vectors) else np.where(np.isfinite(vectors), vectors, 0)
