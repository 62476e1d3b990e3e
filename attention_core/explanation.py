"""One weight, number by number: the same objects that compute attention, asked about a single query and key."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import FloatArray, Logits, Row
from attention_core.call import ResolvedCall
from attention_core.errors import InvalidValue, Path
from attention_core.heads import repeat_heads
from attention_core.interfaces import ScoreTerms, Term, Tile
from attention_core.masks import hidden_by
from attention_core.shapes import Shape, cut
from attention_core.tiles import mix, normalize, row_maximum, score_tile


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How one weight comes about; a step that the call does not have is None.

    `score` is ``terms.score`` up to rounding; the logit is `capped_score` + `bias` + `alibi`, −∞ where the key is not
    visible; `parts` tell how the normalizer makes `weight` of it, and are empty where it was not asked: for a hidden
    key, and in a row without a finite maximum.  `contribution` is weight · value (Dv), the key's share of the output,
    with those leading axes in front that only value has.
    """

    terms: ScoreTerms
    score: float
    capped_score: float
    bias: float | None
    alibi: Term | None
    rotary: bool
    query_position: int
    """Where the query stands among the keys, offset included."""
    masked_by: tuple[str, ...]
    logits: Row
    """Of every key in the row, (Lk)."""
    parts: tuple[Term, ...]
    weight: float
    value: FloatArray | None
    contribution: FloatArray | None


@dataclass(frozen=True, slots=True)
class Pair:
    """One query and one key, at one index of the leading axes."""

    call: ResolvedCall
    index: tuple[int, ...]
    query: int
    key: int

    @property
    def head(self) -> int:
        """Which parameters with a head axis apply."""
        return self.index[1] if len(self.index) == 2 else 0

    @property
    def tile(self) -> Tile:
        """The tile of this pair alone."""
        return Tile(slice(self.query, self.query + 1), slice(self.key, self.key + 1), self.call.offset)

    def matrix(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the matrix at the index, out of an array whose leading axes broadcast to those of the scores."""
        matrix: NDArray[Any] = np.broadcast_to(array, (*self.call.scores[:-2], *array.shape[-2:]))[self.index]
        return matrix

    def value(self) -> FloatArray | None:
        """Return the key's value (Dv); leading axes that only value has stay."""
        if self.call.value is None:
            return None
        leading: Shape = np.broadcast_shapes(self.call.scores[:-2], self.call.value.shape[:-2])
        whole = np.broadcast_to(self.call.value, (*leading, *self.call.value.shape[-2:]))
        own = [slice(None)] * (len(leading) - len(self.index))
        chosen = zip(self.index, self.call.scores[:-2], leading[len(own) :], strict=True)
        at = (*own, *(i if size == broadcast else slice(None) for i, size, broadcast in chosen))
        return whole[at][..., self.key, :]


def explain(call: ResolvedCall, index: tuple[int, ...], query_index: int, key_index: int) -> Explanation:
    """Take apart the weight of one key for one query; `index` has one number for each leading axis of the scores.

    Raises InvalidValue when an index is out of range; its path begins with index, query_index or key_index.
    """
    _check_indices(call, index, query_index, key_index)
    pair = Pair(repeat_heads(call), index, query_index, key_index)
    with np.errstate(all="ignore"):
        return _explain(pair)


def _explain(pair: Pair) -> Explanation:
    call, key = pair.call, pair.key
    row_tile = Tile(pair.tile.rows, slice(0, call.key_length), call.offset)
    scored = score_tile(call, row_tile)
    logits = pair.matrix(scored.logits)[0]
    weights = _weights(pair, scored.logits)
    value = pair.value()
    position = int(pair.matrix(pair.tile.query_positions)[0, 0])
    alibi = None if call.position is None else call.position.part(position, key, pair.head)
    return Explanation(
        terms=call.score_model.terms(pair.matrix(call.query)[pair.query], pair.matrix(call.key)[key], pair.head),
        score=float(pair.matrix(scored.scores)[0, key]),
        capped_score=float(pair.matrix(scored.capped)[0, key]),
        bias=None if call.bias is None else float(pair.matrix(cut(call.bias, pair.tile))[0, 0]),
        alibi=alibi,
        rotary=call.position is not None and alibi is None,
        query_position=position,
        masked_by=_masked_by(pair),
        logits=logits,
        parts=_parts(pair, logits, weights),
        weight=float(weights[key]),
        value=value,
        contribution=None if value is None else _contribution(value, weights[key], logits[key]),
    )


def _weights(pair: Pair, logits: Logits) -> Row:
    """Return the weights of the pair's row; those at other leading indices may have none."""
    leading = tuple(slice(i, i + 1) for i in pair.index)
    own = logits[leading]
    normalizer = pair.call.normalizer.within(leading)
    row: Row = normalize(normalizer, own, row_maximum(own), (*pair.index, pair.query, 0)).reshape(-1)
    return row


def _parts(pair: Pair, logits: Row, weights: Row) -> tuple[Term, ...]:
    """Ask the normalizer how the weight comes about, unless it is not the normalizer that decides it."""
    decided = np.isfinite(logits.max()) or pair.call.normalizer.passes_non_finite
    if np.isneginf(logits[pair.key]) or not decided:
        return ()
    return pair.call.normalizer.parts(logits, weights, pair.key, pair.head)


def _masked_by(pair: Pair) -> tuple[str, ...]:
    """Name every mask that hides the key, and bias where it is −∞."""
    names = hidden_by(pair.call.mask, lambda mask: bool(pair.matrix(mask.visible(pair.tile))[0, 0]))
    hidden_by_bias = pair.call.bias is not None and np.isneginf(pair.matrix(cut(pair.call.bias, pair.tile))[0, 0])
    return (*names, "bias") if hidden_by_bias else names


def _contribution(value: FloatArray, weight: np.floating[Any], logit: np.floating[Any]) -> FloatArray:
    """Weight · value, by the step that mixes whole rows."""
    one = np.ones((1, 1))
    return mix(weight * one, value[..., None, :], logit * one)[..., 0, :]


def _check_indices(call: ResolvedCall, index: tuple[int, ...], query_index: int, key_index: int) -> None:
    """Raise InvalidValue unless the indices name one element of the scores."""
    leading = call.scores[:-2]
    if len(index) != len(leading):
        raise InvalidValue(
            ("index",),
            expected=f"{len(leading)} numbers, one for each leading axis of the scores",
            received=str(len(index)),
            advice=f"The scores have shape {list(call.scores)}; index leads to one matrix of them.",
        )
    wanted: list[tuple[Path, int, int]]
    wanted = [(("index", axis), i, size) for axis, (i, size) in enumerate(zip(index, leading, strict=True))]
    wanted += [(("query_index",), query_index, call.query_length), (("key_index",), key_index, call.key_length)]
    for path, i, size in wanted:
        if not 0 <= i < size:
            raise InvalidValue(
                path,
                expected=f"an index from 0 to {size - 1}",
                received=str(i),
                advice=f"The scores have shape {list(call.scores)}; indices count from 0.",
            )
