"""The plain path: every score, logit and weight exists at once.

Usually one tile is the whole matrix.  Where scoring a pair needs much room (additive holds U numbers a pair), the
queries are cut into blocks, so that what is held beside the results stays small, and `should_stop` and `progress`
have a place to be asked between blocks.
"""

from collections.abc import Set
from functools import lru_cache

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.call import Field, ResolvedCall
from attention_core.cost import queries_per_block
from attention_core.errors import Stopped
from attention_core.heads import repeat_heads
from attention_core.interfaces import LogSumExp, Progress, ShouldStop, Tile
from attention_core.tiles import mix, normalize, row_maximum, score_tile

NEEDS: dict[str, tuple[str, ...]] = {
    "diagnostics": ("weights", "logits"),
    "ranking": ("weights", "scores", "logits"),
}
"""What is made of whole matrices afterwards, and of which."""

Block = dict[str, FloatArray]


def evaluate_dense(
    call: ResolvedCall, should_stop: ShouldStop | None, progress: Progress | None
) -> tuple[Block, FloatArray]:
    """Return the matrices that the fields asked for need, in the compute type, and the largest logit of every row.

    Raises Stopped as soon as `should_stop` answers True.
    """
    call = repeat_heads(call)
    wanted = needed(call.include)
    blocks = query_blocks(call)
    if len(blocks) == 1 and should_stop is None and progress is None:
        return evaluate_block(call, blocks[0], wanted)
    whole: Block = {}
    maxima: list[FloatArray] = []
    for done, rows in enumerate(blocks):
        if should_stop is not None and should_stop():
            raise Stopped("stopped between blocks of queries")
        block, maximum = evaluate_block(call, rows, wanted)
        maxima.append(maximum)
        if len(blocks) == 1:
            whole = block
        else:
            _place(block, rows, whole, call.query_length)
        if progress is not None:
            progress(done + 1, len(blocks))
    return whole, maxima[0] if len(maxima) == 1 else np.concatenate(maxima, axis=-1)


@lru_cache(maxsize=64)
def needed(include: frozenset[Field]) -> frozenset[str]:
    """Return the matrices that the fields asked for are, or are made of."""
    return frozenset(name for field in include for name in NEEDS.get(field, (field,)))


def query_blocks(call: ResolvedCall) -> list[slice]:
    """Cut the queries into blocks; there is one at least."""
    size, length = queries_per_block(call), call.query_length
    if size >= length:
        return [slice(0, length)]
    return [slice(start, min(start + size, length)) for start in range(0, max(1, length), size)]


def evaluate_block(call: ResolvedCall, rows: slice, wanted: Set[str]) -> tuple[Block, FloatArray]:
    """Evaluate some queries against all keys."""
    call = repeat_heads(call)
    scored = score_tile(call, Tile(rows, slice(0, call.key_length), call.offset))
    maximum = row_maximum(scored.logits)
    fields: Block = {}
    for name, array in (("scores", scored.scores), ("capped_scores", scored.capped), ("logits", scored.logits)):
        if name in wanted:
            fields[name] = array
    if "weights" in wanted or "output" in wanted:
        place = (*(0,) * (len(call.scores) - 2), rows.start, 0)
        weights = normalize(call.normalizer, scored.logits, maximum, place)
        if "weights" in wanted:
            fields["weights"] = weights
        if "output" in wanted and call.value is not None:
            fields["output"] = mix(weights, call.value, scored.logits)
    if "logsumexp" in wanted and isinstance(call.normalizer, LogSumExp):
        fields["logsumexp"] = _logsumexp(call.normalizer, scored.logits, maximum)
    return fields, maximum[..., 0]


def _logsumexp(normalizer: LogSumExp, logits: FloatArray, maximum: FloatArray) -> FloatArray:
    """Return the logsumexp of any rows; a poisoned row has its largest logit, NaN or +∞."""
    poisoned = ~(maximum < np.inf)
    result = normalizer.logsumexp(logits, np.where(poisoned, 0, maximum))
    return np.where(poisoned[..., 0], maximum[..., 0], result).astype(logits.dtype, copy=False)


def _place(block: Block, rows: slice, whole: Block, length: int) -> None:
    """Copy a block's rows to where they belong in the whole."""
    for name, part in block.items():
        axis = part.ndim - (1 if name == "logsumexp" else 2)
        shape = (*part.shape[:axis], length, *part.shape[axis + 1 :])
        target = whole.setdefault(name, np.empty(shape, dtype=part.dtype))
        target[(..., rows) if name == "logsumexp" else (..., rows, slice(None))] = part
