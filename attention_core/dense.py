"""The dense path: scores, logits and weights of a call as whole matrices.

Queries are evaluated in blocks where scoring needs much scratch memory (additive holds U numbers a pair).  Most calls
are one block.  `should_stop` and `progress` are called between blocks.
"""

from collections.abc import Set
from functools import lru_cache

import numpy as np

from attention_core.arrays import BoolArray, FloatArray
from attention_core.call import ResolvedCall, ResultField
from attention_core.capabilities import SupportsLogSumExp, supports_logsumexp
from attention_core.errors import Stopped
from attention_core.execution_path import selects_ranked_keys
from attention_core.heads import repeat_kv_heads
from attention_core.interfaces import ProgressCallback, ShouldStop
from attention_core.memory import queries_per_block
from attention_core.reductions import all_finite
from attention_core.score_tile import Tile
from attention_core.tiles import (
    RowScorer,
    TileScores,
    apply_weights,
    normalize,
    row_maximum,
    score_rows,
    score_tile,
)

FIELD_DEPENDENCIES: dict[str, tuple[str, ...]] = {
    "diagnostics": ("weights", "logits"),
    "ranking": ("weights", "scores", "logits"),
    "mean_weights": ("weights",),
}
"""Fields that are computed from whole matrices afterwards, with the matrices they need."""

FieldArrays = dict[str, FloatArray]


def evaluate_dense(
    call: ResolvedCall,
    should_stop: ShouldStop | None,
    progress: ProgressCallback | None,
    scorer: RowScorer | None = None,
) -> tuple[FieldArrays, FloatArray]:
    """Return the arrays that the included fields need, in the compute type, and the maximum of every row, (…, Lq).

    :param call: any call.
    :param should_stop: called before every block of queries; None for never.
    :param progress: called after every block of queries; None for never.
    :param scorer: scores the rows in the place of the score model; None for the score model.

    Raises Stopped as soon as `should_stop` returns True; InvalidValue for logits without weights (proportional).
    """
    call = repeat_kv_heads(call)
    required = list_required_matrices(call.include)
    blocks = query_blocks(call)
    whole: FieldArrays = {}
    maxima: list[FloatArray] = []
    for done, rows in enumerate(blocks):
        if should_stop is not None and should_stop():
            raise Stopped("stopped between blocks of queries")
        block, maximum = evaluate_query_block(call, rows, required, scorer)
        maxima.append(maximum)
        if len(blocks) == 1:
            whole = block
        else:
            _copy_rows(block, rows, whole, call.query_length)
        if progress is not None:
            progress(done + 1, len(blocks))
    return whole, maxima[0] if len(maxima) == 1 else np.concatenate(maxima, axis=-1)


@lru_cache(maxsize=64)
def list_required_matrices(include: frozenset[ResultField]) -> frozenset[str]:
    """Return the names of the arrays that the included fields are, or are computed from."""
    return frozenset(name for field in include for name in FIELD_DEPENDENCIES.get(field, (field,)))


def list_ranked_fields(call: ResolvedCall) -> frozenset[str] | None:
    """Return the names of the arrays with which a kernel ranks keys; None where a ranking is made of whole weights.

    A kernel that selects keys needs the logits alone, and their scores where logits are others.

    :param call: a call that includes a ranking.
    """
    if not selects_ranked_keys(call.key_length, call.top_k):
        return None
    others = list_required_matrices(call.include - {"ranking"})
    if "weights" in others:
        return None
    are_scores = all(step is None for step in (call.softcap, call.bias, call.mask, call.position))
    return others | {"ranking", "logits"} | (frozenset() if are_scores else {"scores"})


def query_blocks(call: ResolvedCall) -> list[slice]:
    """Return slices of the queries, each a block; at least one, even without queries."""
    size, length = queries_per_block(call), call.query_length
    if size >= length:
        return [slice(0, length)]
    return [slice(start, min(start + size, length)) for start in range(0, max(1, length), size)]


def evaluate_query_block(
    call: ResolvedCall, rows: slice, required: Set[str], scorer: RowScorer | None = None
) -> tuple[FieldArrays, FloatArray]:
    """Return the required arrays of some queries, in the compute type, and the maximum of their rows, (…, q).

    :param call: any call.
    :param rows: the queries.
    :param required: names of arrays, as `list_required_matrices` returns them.
    :param scorer: scores the rows in the place of the score model; None for the score model.
    """
    call = repeat_kv_heads(call)
    tile = call.tile(rows)
    scored = score_tile(call, tile) if scorer is None else _score_by(scorer, call, tile, required)
    maximum = row_maximum(scored.logits)
    if scorer is not None and not all_finite(maximum):
        scored = _with_unsafe_rows(call, tile, scored, ~(maximum < np.inf))
        maximum = row_maximum(scored.logits)
    fields: FieldArrays = {}
    for name, array in zip(TileScores._fields, scored, strict=True):
        if name in required:
            fields[name] = array
    if "weights" in required or "output" in required:
        first_index = (*(0,) * (len(call.score_shape) - 2), rows.start, 0)
        weights = normalize(call.normalizer, scored.logits, maximum, first_index)
        if "weights" in required:
            fields["weights"] = weights
        if "output" in required and call.value is not None:
            fields["output"] = apply_weights(weights, call.value, scored.logits)
    if "logsumexp" in required and supports_logsumexp(call.normalizer):
        fields["logsumexp"] = _logsumexp(call.normalizer, scored.logits, maximum)
    return fields, maximum[..., 0]


def _score_by(scorer: RowScorer, call: ResolvedCall, tile: Tile, required: Set[str]) -> TileScores:
    """Return what `score_tile` does, by a scorer; a matrix that is not required may be any of the others."""
    leading = tuple(slice(0, size) for size in call.score_shape[:-2])
    arrays = score_rows(scorer, call, leading, tile, {"scores", "capped_scores"} & required)
    logits = arrays["logits"]
    return TileScores(arrays.get("scores", logits), arrays.get("capped_scores", logits), logits, logits)


def _with_unsafe_rows(call: ResolvedCall, tile: Tile, scored: TileScores, unsafe: BoolArray) -> TileScores:
    """Return the scores with some rows, (…, q, 1), scored by the score model; the scores themselves for none."""
    if not unsafe.any():
        return scored
    return TileScores(*(np.where(unsafe, *pair) for pair in zip(score_tile(call, tile), scored, strict=True)))


def _logsumexp(normalizer: SupportsLogSumExp, logits: FloatArray, maximum: FloatArray) -> FloatArray:
    """Return the logsumexp of any rows, (…, q); NaN or +∞ for a row with NaN or +∞ among its visible logits."""
    nan_rows = ~(maximum < np.inf)
    result = normalizer.compute_logsumexp(logits, np.where(nan_rows, 0, maximum))
    return np.where(nan_rows[..., 0], maximum[..., 0], result).astype(logits.dtype, copy=False)


def _copy_rows(block: FieldArrays, rows: slice, whole: FieldArrays, length: int) -> None:
    """Copy a block's arrays to its rows of the whole arrays, which are made when the first block comes."""
    for name, part in block.items():
        axis = part.ndim - (1 if name == "logsumexp" else 2)
        shape = (*part.shape[:axis], length, *part.shape[axis + 1 :])
        target = whole.setdefault(name, np.empty(shape, dtype=part.dtype))
        target[(..., rows) if name == "logsumexp" else (..., rows, slice(None))] = part
