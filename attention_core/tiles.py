"""One tile: score, bias, mask, normalise, mix.  The only place where these steps meet, in this order."""

from dataclasses import dataclass

import numpy as np

from attention_core.arrays import FloatArray, Logits, RowMaximum, Scores, Values, Weights
from attention_core.call import ResolvedCall
from attention_core.interfaces import Coverage, Normalizer, Tile


@dataclass(frozen=True, slots=True)
class TileScores:
    """A tile before normalisation; `logits` is `scores` itself when nothing was added and nothing hidden."""

    scores: Scores
    logits: Logits


def score_tile(call: ResolvedCall, tile: Tile) -> TileScores:
    """Return raw scores and logits of one tile: logits = scores + bias, and −∞ where the mask hides a key.

    Masking selects −∞; nothing is multiplied, so NaN or ±∞ in a hidden key has no influence.
    """
    queries, keys = call.query[..., tile.rows, :], call.key[..., tile.columns, :]
    scores = call.score_model.scores(queries, keys)
    logits = scores
    if call.bias is not None:
        bias = _cut(call.bias, tile)
        logits = np.where(np.isneginf(bias), bias, logits + bias)
    if call.mask is not None:
        coverage = call.mask.coverage(tile)
        if coverage is not Coverage.FULL:
            hidden = ~call.mask.visible(tile) if coverage is Coverage.MIXED else True
            logits = np.where(hidden, logits.dtype.type(-np.inf), logits)
    return TileScores(scores, logits)


def row_maximum(logits: Logits) -> RowMaximum:
    """Return the largest logit of each row, −∞ for a row without a visible key, NaN if one is NaN."""
    return np.max(logits, axis=-1, keepdims=True, initial=-np.inf)


def normalize(normalizer: Normalizer, logits: Logits, maximum: RowMaximum) -> Weights:
    """Return the weights of any rows, the two kinds that no normalizer is asked to decide included.

    A row without a visible key weighs nothing.  A row with NaN or +∞ among its visible logits has NaN weights, but
    for the keys it cannot see, which weigh 0 always.
    """
    finite = np.isfinite(maximum)
    if finite.all():
        return normalizer.weights(logits, maximum)
    weights = normalizer.weights(logits, np.where(finite, maximum, 0))
    unseen = np.isneginf(logits)
    weights = np.where(finite | unseen, weights, np.nan)
    return np.where(unseen, 0, weights).astype(logits.dtype, copy=False)


def mix(weights: Weights, values: Values, logits: Logits) -> FloatArray:
    """Return weights · values; NaN or ±∞ in the value of a key that a query does not see never reaches it."""
    broken = ~np.isfinite(values)
    if not broken.any():
        return np.matmul(weights, values)
    output = np.matmul(weights, np.where(broken, 0, values))
    seen = ~np.isneginf(logits)
    leading = tuple(range(values.ndim - 2))
    for key in np.flatnonzero(broken.any(axis=(*leading, -1))):
        reaches = seen[..., key, None] & broken[..., key, None, :]
        output += np.where(reaches, weights[..., key, None] * values[..., key, None, :], 0)
    return output


def _cut(array: FloatArray, tile: Tile) -> FloatArray:
    """Cut a tile out of an array of rank 2 or more, axes of length 1 left to broadcast."""
    rows = tile.rows if array.shape[-2] > 1 else slice(None)
    columns = tile.columns if array.shape[-1] > 1 else slice(None)
    return array[..., rows, columns]
