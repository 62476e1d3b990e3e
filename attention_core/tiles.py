"""The steps of attention on one tile: score, cap, add biases, modify, mask, normalize, apply weights."""

from collections.abc import Set
from typing import NamedTuple, Protocol

import numpy as np

from attention_core.arrays import FloatArray, LeadingSlices, Logits, Projection, RowMaximum, Scores, Values, Weights
from attention_core.call import ResolvedCall
from attention_core.capabilities import refuses_logits
from attention_core.interfaces import Normalizer
from attention_core.reductions import all_finite
from attention_core.score_modifier import ScoreModifier
from attention_core.score_tile import Coverage, Tile, slice_tile


class TileScores(NamedTuple):
    """Matrices of a tile before normalization; a step that changes nothing returns the array of the step before."""

    scores: Scores
    """a(q, k), (…, q, k)."""
    capped_scores: Scores
    """Scores after the soft cap, (…, q, k)."""
    modified: Logits
    """Capped scores with bias and ALiBi, as the score modifier leaves them, (…, q, k)."""
    logits: Logits
    """The same, −∞ where the mask hides a key, (…, q, k)."""


class RowScorer(Protocol):
    """Scores rows of a whole call, in the place of its score model: a compiled kernel."""

    applies_whole_mask: bool
    """Whether logits are −∞ wherever the mask hides a key; else where one of some of its masks does."""

    def score_rows(self, leading: LeadingSlices, rows: slice, arrays: dict[str, FloatArray]) -> None:
        """Fill arrays with the scores of some rows and all keys.

        :param leading: block of the leading axes.
        :param rows: the queries.
        :param arrays: fields of `TileScores` by name: each (…, q, k), contiguous.
        """
        ...


def score_rows(
    scorer: RowScorer, call: ResolvedCall, leading: LeadingSlices, tile: Tile, names: Set[str]
) -> dict[str, FloatArray]:
    """Return some of the fields of `TileScores` by name, in new arrays, of rows that a scorer scores.

    :param scorer: scores rows of the whole call.
    :param call: the call, restricted to the block.
    :param leading: block of the leading axes of the whole call.
    :param tile: the rows, and all columns.
    :param names: fields to return; "logits" is always among them.
    """
    shape = (*call.score_shape[:-2], tile.rows.stop - tile.rows.start, call.key_length)
    arrays: dict[str, FloatArray] = {name: np.empty(shape, call.dtype.compute) for name in {"logits", *names}}
    scorer.score_rows(leading, tile.rows, arrays)
    if not scorer.applies_whole_mask:
        apply_mask_in_place(call, tile, arrays["logits"])
    return arrays


def score_tile(call: ResolvedCall, tile: Tile) -> TileScores:
    """Return scores, capped scores, modified scores and logits of one tile, in new arrays.

    ::

        capped   = softcap · tanh(scores / softcap)
        modified = modifier(capped + bias + ALiBi)
        logits   = modified, and −∞ where a mask hides the key

    The cap comes before bias and mask, as in ONNX Attention (onnx/onnx#7867), FlashAttention and ggml.  Masking
    replaces logits and multiplies nothing, so that NaN or ±∞ in a hidden key does not spread.

    :param call: a call with a key and value head for each query head.
    :param tile: rows and columns of the score matrix.
    """
    queries, keys = call.query, call.key
    if (tile.rows.stop - tile.rows.start, tile.columns.stop - tile.columns.start) != call.score_shape[-2:]:
        queries, keys = queries[..., tile.rows, :], keys[..., tile.columns, :]
    scores = call.score_model.compute_scores(queries, keys)
    capped = scores if call.softcap is None else _apply_softcap(call.softcap, scores, None)
    modified = _add_biases(call, tile, capped, None)
    if call.score_modifier is not None:
        modified = _modify(call.score_modifier, call, tile, modified)
    return TileScores(scores, capped, modified, _apply_mask(call, tile, modified))


def write_logits(call: ResolvedCall, tile: Tile, queries: Projection, keys: Projection, out: Logits) -> None:
    """Write the logits of one tile to `out`, without the mask, by the steps of `score_tile`.

    :param call: the call.
    :param tile: rows and columns of the score matrix.
    :param queries: the score model's projection of the tile's queries.
    :param keys: the score model's projection of the tile's keys.
    :param out: (…, q, k).
    """
    write_biased_scores(call, tile, queries, keys, out)
    if call.score_modifier is not None:
        out[...] = _modify(call.score_modifier, call, tile, out)


def write_biased_scores(call: ResolvedCall, tile: Tile, queries: Projection, keys: Projection, out: Logits) -> None:
    """Write the capped scores of one tile plus bias and ALiBi to `out`, which is what a score modifier changes.

    :param call: the call.
    :param tile: rows and columns of the score matrix.
    :param queries: the score model's projection of the tile's queries.
    :param keys: the score model's projection of the tile's keys.
    :param out: (…, q, k).
    """
    write_capped_scores(call, queries, keys, out)
    _add_biases(call, tile, out, out)


def write_capped_scores(call: ResolvedCall, queries: Projection, keys: Projection, out: Scores) -> None:
    """Write the capped scores of projected queries and keys to `out`.

    :param call: the call, for its score model and soft cap.
    :param queries: the score model's projection of the queries.
    :param keys: the score model's projection of the keys.
    :param out: (…, q, k).
    """
    call.score_model.score_pairs(queries, keys, out)
    if call.softcap is not None:
        _apply_softcap(call.softcap, out, out)


def apply_mask_in_place(call: ResolvedCall, tile: Tile, logits: Logits) -> None:
    """Write −∞ to the logits that the mask hides, without classifying the tile first.

    :param call: the call, for its mask.
    :param tile: rows and columns of the score matrix.
    :param logits: the tile's logits, (…, q, k), changed in place.
    """
    if call.mask is not None:
        np.copyto(logits, -np.inf, where=~call.mask.visible(tile))


def _apply_softcap(softcap: float, scores: Scores, out: Scores | None) -> Scores:
    """Return softcap · tanh(scores / softcap), in `out` if it is given; `out` may be `scores`."""
    capped = np.divide(scores, softcap, out=out)
    np.tanh(capped, out=capped)
    capped *= softcap
    return capped


def _add_biases(call: ResolvedCall, tile: Tile, capped: Scores, out: Logits | None) -> Logits:
    """Return capped scores plus bias and ALiBi; a bias of −∞ hides the key, even if its score is NaN or +∞."""
    logits = capped
    if call.bias is not None:
        bias = slice_tile(call.bias, tile)
        logits = np.add(logits, bias, out=out)
        np.copyto(logits, -np.inf, where=np.isneginf(bias))
    if call.position is not None:
        added = call.position.score_bias(tile)
        if added is not None:
            logits = np.add(logits, added.astype(logits.dtype), out=out)
    return logits


def _modify(modifier: ScoreModifier, call: ResolvedCall, tile: Tile, scores: Logits) -> Logits:
    """Return modified scores in a new array; a bias of −∞ hides the key whatever the modifier makes of it."""
    modified = modifier.modify(scores, tile)
    if call.bias is not None:
        np.copyto(modified, -np.inf, where=np.isneginf(slice_tile(call.bias, tile)))
    return modified


def _apply_mask(call: ResolvedCall, tile: Tile, logits: Logits) -> Logits:
    """Return logits with −∞ where the mask hides a key; the logits themselves where it hides none."""
    if call.mask is None:
        return logits
    coverage = call.mask.coverage(tile)
    if coverage is Coverage.FULL:
        return logits
    if coverage is Coverage.EMPTY:
        return np.full_like(logits, -np.inf)
    return np.where(call.mask.visible(tile), logits, logits.dtype.type(-np.inf))


def row_maximum(logits: Logits) -> RowMaximum:
    """Return the largest logit of each row, (…, q, 1): −∞ for a row without a visible key, NaN if a logit is NaN."""
    maximum: RowMaximum = np.maximum.reduce(logits, axis=-1, keepdims=True, initial=-np.inf)
    return maximum


def normalize(
    normalizer: Normalizer, logits: Logits, maximum: RowMaximum, first_index: tuple[int, ...] | None = None
) -> Weights:
    """Return the weights of any rows, (…, q, k).

    A row without a visible key has weights 0.  A row with NaN or +∞ among its visible logits has weights NaN at its
    visible keys and 0 at hidden ones, unless the normalizer propagates non-finite numbers itself.

    :param normalizer: bound, and sliced to the leading axes of the logits.
    :param logits: (…, q, k); −∞ marks a hidden key.
    :param maximum: what `row_maximum` returns for them, (…, q, 1).
    :param first_index: index of logits[0, …, 0] in the whole matrix, for errors; default: the logits are the whole.

    Raises InvalidValue for a logit for which the normalizer has no weight (proportional: a negative one).
    """
    if not logits.shape[-1]:
        return np.zeros_like(logits)
    if refuses_logits(normalizer):
        normalizer.check_logits(logits, first_index or (0,) * logits.ndim)
    if all_finite(maximum) or normalizer.propagates_non_finite:
        return normalizer.compute_weights(logits, maximum)
    finite = np.isfinite(maximum)
    weights = normalizer.compute_weights(logits, np.where(finite, maximum, 0))
    hidden = np.isneginf(logits)
    weights = np.where(finite | hidden, weights, np.nan)
    return np.where(hidden, 0, weights).astype(logits.dtype, copy=False)


def apply_weights(weights: Weights, values: Values, logits: Logits) -> FloatArray:
    """Return weights · values, (…, q, Dv); NaN and ±∞ in the value of a hidden key do not reach the output.

    :param weights: (…, q, k), 0 at hidden keys.
    :param values: (…, k, Dv).
    :param logits: (…, q, k); −∞ marks a hidden key.
    """
    if all_finite(values):
        return np.matmul(weights, values)
    non_finite = ~np.isfinite(values)
    output = np.matmul(weights, np.where(non_finite, 0, values))
    visible = ~np.isneginf(logits)
    leading = tuple(range(values.ndim - 2))
    for key in np.flatnonzero(non_finite.any(axis=(*leading, -1))):
        reaches = visible[..., key, None] & non_finite[..., key, None, :]
        output += np.where(reaches, weights[..., key, None] * values[..., key, None, :], 0)
    return output
