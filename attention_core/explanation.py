"""Explain one weight: its score term by term, its logit and the normalizer's steps, by the models that compute it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import FloatArray, Logits, Row
from attention_core.call import ResolvedCall
from attention_core.errors import ArgumentPath, InvalidValue
from attention_core.expressions import Expression, ScoreTerms
from attention_core.formula_mask import FormulaMask
from attention_core.heads import repeat_kv_heads
from attention_core.masks import list_hiding_masks, masks_in
from attention_core.score_tile import Tile, slice_tile
from attention_core.shapes import Shape, describe_scores
from attention_core.tiles import apply_weights, normalize, row_maximum, score_tile


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One weight with the steps that lead to it; a step that the call does not have is None."""

    score_steps: tuple[Expression, ...]
    """Steps that lead to the terms, as a formula has them; empty for score models that are their terms."""
    terms: ScoreTerms
    """The score as a sum of terms."""
    score: float
    """a(q, k); ``terms.score`` up to rounding."""
    capped_score: float
    """The score after the soft cap; the score itself without one."""
    bias: float | None
    alibi: Expression | None
    """ALiBi's bias with its formula."""
    modifier_steps: tuple[Expression, ...]
    """Steps of the score modifier, the last of which is the modified score; empty without one, and where a bias of −∞
    hides the key whatever the modifier says."""
    modified: float
    """Capped score + bias + ALiBi, as the score modifier leaves it, before any mask."""
    rotary: bool
    """Whether query and key are rotated before they are scored."""
    mask_steps: tuple[Expression, ...]
    """Steps of the mask formula, the last of which says whether it shows the key; empty without one."""
    query_position: int
    """Position of the query among the keys, offset included."""
    key_position: int
    """Position of the key, by default its index."""
    masked_by: tuple[str, ...]
    """Names of the masks that hide the key, "bias" where the bias is −∞, "score_modifier" where it makes −∞ of another
    number; empty for a visible key."""
    logits: Row
    """Logits of the whole row, (Lk): the modified scores, −∞ for a hidden key."""
    weight_steps: tuple[Expression, ...]
    """The normalizer's steps from logit to weight; empty for a hidden key, and in a row with NaN or +∞ among its
    visible logits unless the normalizer propagates them."""
    weight: float
    value: FloatArray | None
    """The key's value, (…, Dv), with those leading axes in front that only value has."""
    contribution: FloatArray | None
    """weight · value, (…, Dv)."""


@dataclass(frozen=True, slots=True)
class QueryKeyPair:
    """One query and one key of a call."""

    call: ResolvedCall
    index: tuple[int, ...]
    """Index of their matrix among the leading axes of the scores."""
    query: int
    """Index of the query."""
    key: int
    """Index of the key."""

    @property
    def head(self) -> int:
        """Index into parameters that have a head axis; 0 for scores without one."""
        return self.index[1] if len(self.index) == 2 else 0

    @property
    def tile(self) -> Tile:
        """Tile of this pair alone."""
        return self.call.tile(slice(self.query, self.query + 1), slice(self.key, self.key + 1))

    def select_matrix(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the pair's matrix of an array whose leading axes broadcast to those of the scores."""
        matrix: NDArray[Any] = np.broadcast_to(array, (*self.call.score_shape[:-2], *array.shape[-2:]))[self.index]
        return matrix

    def value(self) -> FloatArray | None:
        """Return the key's value, (…, Dv), with those leading axes that only value has; None for a call without."""
        if self.call.value is None:
            return None
        leading: Shape = np.broadcast_shapes(self.call.score_shape[:-2], self.call.value.shape[:-2])
        whole = np.broadcast_to(self.call.value, (*leading, *self.call.value.shape[-2:]))
        extra = [slice(None)] * (len(leading) - len(self.index))
        axes = zip(self.index, self.call.score_shape[:-2], leading[len(extra) :], strict=True)
        at = (*extra, *(i if size == broadcast else slice(None) for i, size, broadcast in axes))
        return whole[at][..., self.key, :]


def explain(call: ResolvedCall, index: tuple[int, ...], query_index: int, key_index: int) -> Explanation:
    """Explain the weight of one key for one query.

    :param call: any call; in float64 for explanations without rounding (`reference.to_float64_reference`).
    :param index: one index for each leading axis of the scores.
    :param query_index: index of the query, from 0 to Lq − 1.
    :param key_index: index of the key, from 0 to Lk − 1.

    Raises InvalidValue for an index out of range, with a path that begins with index, query_index or key_index.
    """
    _check_indices(call, index, query_index, key_index)
    pair = QueryKeyPair(repeat_kv_heads(call), index, query_index, key_index)
    with np.errstate(all="ignore"):
        return _explain(pair)


def _explain(pair: QueryKeyPair) -> Explanation:
    call, key = pair.call, pair.key
    scored = score_tile(call, call.tile(pair.tile.rows))
    logits = pair.select_matrix(scored.logits)[0]
    weights = _weights(pair, scored.logits)
    value = pair.value()
    position = int(pair.select_matrix(pair.tile.query_positions)[0, 0])
    key_position = int(pair.select_matrix(np.atleast_2d(pair.tile.key_positions))[0, 0])
    alibi = None if call.position is None else call.position.explain_bias(position, key_position, pair.head)
    modified = float(pair.select_matrix(scored.modified)[0, key])
    biased = modified if call.score_modifier is None else _biased_score(pair)
    query_row, key_row = pair.select_matrix(call.query)[pair.query], pair.select_matrix(call.key)[key]
    return Explanation(
        score_steps=call.score_model.explain_steps(query_row, key_row, pair.head),
        terms=call.score_model.explain_score(query_row, key_row, pair.head),
        score=float(pair.select_matrix(scored.scores)[0, key]),
        capped_score=float(pair.select_matrix(scored.capped_scores)[0, key]),
        bias=None if call.bias is None else float(pair.select_matrix(slice_tile(call.bias, pair.tile))[0, 0]),
        alibi=alibi,
        modifier_steps=_explain_modifier(pair, biased),
        modified=modified,
        rotary=call.position is not None and alibi is None,
        mask_steps=_explain_mask_formula(pair),
        query_position=position,
        key_position=key_position,
        masked_by=_masked_by(pair, biased, modified),
        logits=logits,
        weight_steps=_explain_weight(pair, logits, weights),
        weight=float(weights[key]),
        value=value,
        contribution=None if value is None else _contribution(value, weights[key], logits[key]),
    )


def _weights(pair: QueryKeyPair, logits: Logits) -> Row:
    """Return the weights of the pair's row alone, since rows of other matrices may have no weights (proportional)."""
    leading = tuple(slice(i, i + 1) for i in pair.index)
    row_logits = logits[leading]
    normalizer = pair.call.normalizer.slice_leading(leading)
    first_index = (*pair.index, pair.query, 0)
    row: Row = normalize(normalizer, row_logits, row_maximum(row_logits), first_index).reshape(-1)
    return row


def _explain_weight(pair: QueryKeyPair, logits: Row, weights: Row) -> tuple[Expression, ...]:
    """Return the normalizer's steps to the weight; none where `tiles.normalize` decides the weight instead."""
    decided = np.isfinite(logits.max()) or pair.call.normalizer.propagates_non_finite
    if np.isneginf(logits[pair.key]) or not decided:
        return ()
    return pair.call.normalizer.explain_weight(logits, weights, pair.key, pair.head)


def _biased_score(pair: QueryKeyPair) -> float:
    """Return what the score modifier is given: capped score + bias + ALiBi."""
    scored = score_tile(replace(pair.call, score_modifier=None), pair.tile)
    return float(pair.select_matrix(scored.modified)[0, 0])


def _explain_modifier(pair: QueryKeyPair, biased: float) -> tuple[Expression, ...]:
    """Return the steps of the score modifier from what it is given; none without one, or without influence."""
    call = pair.call
    if call.score_modifier is None or _is_hidden_by_bias(pair):
        return ()
    return call.score_modifier.explain({"score": biased, **_places(pair)}, pair.head)


def _explain_mask_formula(pair: QueryKeyPair) -> tuple[Expression, ...]:
    """Return the steps of the first mask formula; none without one."""
    formulas = (mask for mask in masks_in(pair.call.mask) if isinstance(mask, FormulaMask))
    mask = next(formulas, None)
    return () if mask is None else mask.explain(_places(pair), pair.head)


def _places(pair: QueryKeyPair) -> dict[str, int]:
    """Return the positions of a pair by the names that formulas give them."""
    return {
        "i": pair.query,
        "j": pair.key,
        "p": int(pair.select_matrix(pair.tile.query_positions)[0, 0]),
        "b": pair.index[0] if pair.index else 0,
        "h": pair.head,
        "Lq": pair.call.query_length,
        "Lk": pair.call.key_length,
    }


def _masked_by(pair: QueryKeyPair, biased: float, modified: float) -> tuple[str, ...]:
    """Return the names of the masks that hide the key, "bias" where it is −∞, "score_modifier" where that makes −∞.

    :param pair: the query and the key.
    :param biased: capped score + bias + ALiBi.
    :param modified: the same as the score modifier leaves it.
    """
    names = list_hiding_masks(pair.call.mask, lambda mask: bool(pair.select_matrix(mask.visible(pair.tile))[0, 0]))
    if _is_hidden_by_bias(pair):
        return (*names, "bias")
    return (*names, "score_modifier") if np.isneginf(modified) and not np.isneginf(biased) else names


def _is_hidden_by_bias(pair: QueryKeyPair) -> bool:
    """Return whether the pair's bias is −∞."""
    bias = pair.call.bias
    return bias is not None and bool(np.isneginf(pair.select_matrix(slice_tile(bias, pair.tile))[0, 0]))


def _contribution(value: FloatArray, weight: np.floating[Any], logit: np.floating[Any]) -> FloatArray:
    """Return weight · value, by the function that computes whole outputs."""
    one = np.ones((1, 1))
    return apply_weights(weight * one, value[..., None, :], logit * one)[..., 0, :]


def _check_indices(call: ResolvedCall, index: tuple[int, ...], query_index: int, key_index: int) -> None:
    """Raise InvalidValue unless the indices name one element of the scores."""
    leading = call.score_shape[:-2]
    if len(index) != len(leading):
        raise InvalidValue(
            ("index",),
            expected=f"{len(leading)} numbers, one for each leading axis of the scores",
            received=str(len(index)),
            advice=f"The scores have {describe_scores(call.score_shape)}; index leads to one matrix of them.",
        )
    limits: list[tuple[ArgumentPath, int, int]]
    limits = [(("index", axis), i, size) for axis, (i, size) in enumerate(zip(index, leading, strict=True))]
    limits += [(("query_index",), query_index, call.query_length), (("key_index",), key_index, call.key_length)]
    for path, i, size in limits:
        if not 0 <= i < size:
            raise InvalidValue(
                path,
                expected=f"an index from 0 to {size - 1}",
                received=str(i),
                advice=f"The scores have {describe_scores(call.score_shape)}; indices count from 0.",
            )
