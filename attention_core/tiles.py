"""One tile: score, cap, bias, mask, normalise, mix.  The only place where these steps meet, in this order."""

from typing import NamedTuple

import numpy as np

from attention_core.arrays import FloatArray, Logits, RowMaximum, Scores, Side, Values, Weights
from attention_core.call import ResolvedCall
from attention_core.interfaces import Coverage, Normalizer, Require, Tile
from attention_core.reductions import all_finite, product
from attention_core.shapes import cut


class TileScores(NamedTuple):
    """A tile before normalisation; a step that changes nothing hands on the array of the step before."""

    scores: Scores
    capped: Scores
    logits: Logits


def score_tile(call: ResolvedCall, tile: Tile) -> TileScores:
    """Return scores, capped scores and logits of one tile.

    ::

        capped = softcap · tanh(scores / softcap)
        logits = capped + bias + ALiBi, and −∞ where a mask hides the key

    The cap comes before bias and mask, as in ONNX Attention (onnx/onnx#7867), FlashAttention and ggml.  Masking selects
    −∞; nothing is multiplied, so NaN or ±∞ in a hidden key has no influence.
    """
    queries, keys = call.query, call.key
    if (tile.rows.stop - tile.rows.start, tile.columns.stop - tile.columns.start) != call.scores[-2:]:
        queries, keys = queries[..., tile.rows, :], keys[..., tile.columns, :]
    scores = call.score_model.scores(queries, keys)
    capped = scores if call.softcap is None else _cap(call.softcap, scores, None)
    return TileScores(scores, capped, _hide(call, tile, _add(call, tile, capped, None)))


def logits_in_place(call: ResolvedCall, tile: Tile, queries: Side, keys: Side, out: Logits) -> None:
    """Put the logits of one tile into `out`, all but what masks hide: the same steps, and nothing kept in between.

    `queries` and `keys` are what the score model made of the tile's rows and columns.
    """
    capped_in_place(call, queries, keys, out)
    _add(call, tile, out, out)


def capped_in_place(call: ResolvedCall, queries: Side, keys: Side, out: Scores) -> None:
    """Put the capped scores of the same into `out`."""
    call.score_model.pairs(queries, keys, out)
    if call.softcap is not None:
        _cap(call.softcap, out, out)


def hide_in_place(call: ResolvedCall, tile: Tile, logits: Logits) -> None:
    """Put −∞ where the mask hides a key of a tile that it is known to cut."""
    if call.mask is not None:
        np.copyto(logits, -np.inf, where=~call.mask.visible(tile))


def _cap(softcap: float, scores: Scores, out: Scores | None) -> Scores:
    """Squeeze scores, into `out` if it is given, as in the steps below."""
    capped = np.divide(scores, softcap, out=out)
    np.tanh(capped, out=capped)
    capped *= softcap
    return capped


def _add(call: ResolvedCall, tile: Tile, capped: Scores, out: Logits | None) -> Logits:
    """Add bias and what positions add; a bias of −∞ hides the key whatever it scores."""
    logits = capped
    if call.bias is not None:
        bias = cut(call.bias, tile)
        logits = np.add(logits, bias, out=out)
        np.copyto(logits, -np.inf, where=np.isneginf(bias))
    if call.position is not None:
        added = call.position.added(tile)
        if added is not None:
            logits = np.add(logits, added.astype(logits.dtype), out=out)
    return logits


def _hide(call: ResolvedCall, tile: Tile, logits: Logits) -> Logits:
    """Put −∞ where the mask hides a key."""
    if call.mask is None:
        return logits
    coverage = call.mask.coverage(tile)
    if coverage is Coverage.FULL:
        return logits
    if coverage is Coverage.EMPTY:
        return np.full_like(logits, -np.inf)
    return np.where(call.mask.visible(tile), logits, logits.dtype.type(-np.inf))


def row_maximum(logits: Logits) -> RowMaximum:
    """Return the largest logit of each row, −∞ for a row without a visible key, NaN if one is NaN."""
    maximum: RowMaximum = np.maximum.reduce(logits, axis=-1, keepdims=True, initial=-np.inf)
    return maximum


def normalize(
    normalizer: Normalizer, logits: Logits, maximum: RowMaximum, place: tuple[int, ...] | None = None
) -> Weights:
    """Return the weights of any rows, the two kinds that no normalizer is asked to decide included.

    `place` is where the first of the logits stands in the whole, which an error tells; they are the whole without it.

    A row without a visible key weighs nothing.  A row with NaN or +∞ among its visible logits has NaN weights, but
    for the keys it cannot see, which weigh 0 always.
    """
    if not logits.shape[-1]:
        return np.zeros_like(logits)
    require: Require | None = getattr(normalizer, "require", None)
    if require is not None:
        require(logits, place or (0,) * logits.ndim)
    if all_finite(maximum) or normalizer.passes_non_finite:
        return normalizer.weights(logits, maximum)
    finite = np.isfinite(maximum)
    weights = normalizer.weights(logits, np.where(finite, maximum, 0))
    unseen = np.isneginf(logits)
    weights = np.where(finite | unseen, weights, np.nan)
    return np.where(unseen, 0, weights).astype(logits.dtype, copy=False)


def mix(weights: Weights, values: Values, logits: Logits) -> FloatArray:
    """Return weights · values; NaN or ±∞ in the value of a key that a query does not see never reaches it."""
    if all_finite(values):
        return product(weights, values)
    broken = ~np.isfinite(values)
    output = np.matmul(weights, np.where(broken, 0, values))
    seen = ~np.isneginf(logits)
    leading = tuple(range(values.ndim - 2))
    for key in np.flatnonzero(broken.any(axis=(*leading, -1))):
        reaches = seen[..., key, None] & broken[..., key, None, :]
        output += np.where(reaches, weights[..., key, None] * values[..., key, None, :], 0)
    return output
