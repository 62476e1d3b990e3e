"""The door: check, go forward and back a few rows at a time, cast back."""

from collections.abc import Iterator
from itertools import count
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attention_core.arrays import FloatArray
from attention_core.attend import as_floats
from attention_core.blockwise import Workers
from attention_core.blockwise.blocks import Block, Spans, cut_into, leading_blocks, part_of_output
from attention_core.blockwise.tasks import share_tasks
from attention_core.blockwise.watch import Watch
from attention_core.blockwise.workspace import Workspace
from attention_core.call import AttentionCall, AttentionGradients, Heads, Offset, ResolvedCall
from attention_core.cost import SHARES, TILE_COLUMNS, TILE_ROWS, TileSizes, output_shape
from attention_core.errors import ShapeMismatch
from attention_core.gradients.rows import differentiate_rows
from attention_core.gradients.shares import Share, Totals
from attention_core.heads import pack, unpack
from attention_core.interfaces import Mask, Normalizer, Position, Progress, ScoreModel, ShouldStop
from attention_core.reductions import sum_to
from attention_core.resolve import resolve

HELD_NUMBERS = 1 << 24
"""About how many numbers are held at once while some rows go forward and back."""

BACKWARD = 8
"""So many times the way back holds what it takes to score a pair, beside the score."""

MASKED_ROWS = 256
"""Fewer rows are taken at once where a mask hides much of them, as long as they are short."""

LONG = 4096
"""Rows of so many keys are worth taking together, masked or not."""


def differentiate(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    output_gradient: ArrayLike,
    *,
    score_model: ScoreModel | None = None,
    normalizer: Normalizer | None = None,
    softcap: float | None = None,
    mask: Mask | None = None,
    offset: Offset | None = None,
    bias: ArrayLike | None = None,
    position: Position | None = None,
    heads: Heads | None = None,
    past_key: ArrayLike | None = None,
    past_value: ArrayLike | None = None,
    dtype: str | None = None,
    workers: Workers | None = None,
    should_stop: ShouldStop | None = None,
    progress: Progress | None = None,
) -> AttentionGradients:
    """Attention forward and back: the output, and the gradient of everything that went into it.

    ::

        ∂value   = weightsᵀ · ∂output
        ∂weights = ∂output · valueᵀ
        ∂logits  = ∂weights through the normalizer
        ∂scores  = ∂logits · (1 − (capped / softcap)²)
        ∂query, ∂key and ∂parameters = ∂scores through the score model

    >>> from attention_core import differentiate
    >>> found = differentiate([[1.0, 0.0]], [[2.0, 0.0], [0.0, 2.0]], [[10.0], [20.0]], [[1.0]])
    >>> found.value.round(3).tolist()
    [[0.804], [0.196]]
    >>> found.query.round(3).tolist()
    [[-2.226, 2.226]]

    `output_gradient` has the shape of the output, (…, Lq, Dv) or packed; all else is as in `attend`, and so are the
    edge cases: what a query may not see gets nothing from it, and nothing of NaN or ±∞ in it; the gradients of a row
    that is NaN are NaN, and so are those of the keys that it sees.  At a kink the slope is 0.

    Gradients have the shapes of what was sent: what was broadcast is summed.  Rows are taken a few at a time, each with
    all keys that it may see, so that no matrix of scores is ever whole.

    Raises what `attend` raises, InvalidValue for a normalizer without a slope (hardmax),
    ShapeMismatch for an output gradient of another shape.

    Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors"; a few rows at a time as in
    Dao et al. 2022, "FlashAttention", algorithm 4, with whole rows in the place of tiles.
    """
    call = AttentionCall(
        as_floats(query),
        as_floats(key),
        as_floats(value),
        score_model,
        normalizer,
        softcap,
        mask,
        offset,
        None if bias is None else as_floats(bias),
        position,
        heads,
        None if past_key is None else as_floats(past_key),
        None if past_value is None else as_floats(past_value),
        dtype,
        ("output",),
    )
    with np.errstate(all="ignore"):
        resolved = resolve(call)
        upstream = _load_upstream(as_floats(output_gradient), resolved, call.heads)
        output, totals = _run(resolved, upstream, workers or Workers(1), should_stop, progress)
        return _stored(call, resolved, output, totals)


class _Task(NamedTuple):
    """Rows of a block whose gradients are summed before they are added to the others."""

    place: int
    block: Block
    rows: slice


def _load_upstream(gradient: FloatArray, call: ResolvedCall, heads: Heads | None) -> FloatArray:
    """Return the gradient of the output in the compute type, heads unpacked."""
    path = ("output_gradient",)
    shape = output_shape(call)
    expected = shape if heads is None else (shape[0], shape[2], shape[1] * shape[3])
    if gradient.shape != expected:
        raise ShapeMismatch(
            path,
            expected=f"the shape of the output, {list(expected)}",
            received=f"shape {list(gradient.shape)}",
            advice="Send one number for each of the output: how much what you minimise grows with it.",
        )
    loaded = call.dtype.load(gradient, path)
    return loaded if heads is None else unpack(loaded, heads.query, "output_gradient")


def _run(
    call: ResolvedCall,
    upstream: FloatArray,
    workers: Workers,
    should_stop: ShouldStop | None,
    progress: Progress | None,
) -> tuple[FloatArray, Totals]:
    """Share the rows among threads; the result does not depend on their number."""
    sizes = sizes_of(call)
    output = np.empty(output_shape(call), dtype=call.dtype.compute)
    totals = Totals(call)
    tasks = list(_cut(call, sizes))
    watch = Watch(should_stop, progress, sum(len(_last_first(task.rows, sizes.rows)) for task in tasks))

    def do(task: _Task, space: Workspace) -> None:
        share = Share.of(task.block.call, task.rows)
        for rows in _last_first(task.rows, sizes.rows):
            watch.ask()
            own = part_of_output(call, task.block, rows)
            differentiate_rows(task.block, rows, output[own], upstream[own], share, space)
            watch.tell(1)
        totals.deliver(task.place, task.block.leading, share)

    share_tasks(call, tasks, do, workers, watch)
    return output, totals


def sizes_of(call: ResolvedCall) -> TileSizes:
    """Return how many rows are taken at once, and of how many matrices if those are few."""
    keys = max(1, call.key_length)
    pair = 2 + call.normalizer.scratch() + BACKWARD * (call.score_model.scratch(call.features) - 1)
    fitting = max(1, HELD_NUMBERS // (keys * pair))
    most = MASKED_ROWS if call.mask is not None and keys < LONG else TILE_ROWS
    rows = max(1, min(call.query_length, most, fitting))
    matrices = min(TILE_ROWS // rows, fitting // rows, 2 * prod(call.scores[:-2]) // SHARES)
    return TileSizes(rows, min(keys, TILE_COLUMNS), max(1, matrices))


def _cut(call: ResolvedCall, sizes: TileSizes) -> Iterator[_Task]:
    """Cut a call into tasks: blocks of the leading axes, and parts of their rows if there are too few of those."""
    blocks = list(leading_blocks(call, sizes.matrices))
    parts = -(-SHARES // max(1, len(blocks)))
    # Whole numbers of what is taken at once, but for the last.
    length = sizes.rows * max(1, -(-call.query_length // (parts * sizes.rows)))
    places, spans = count(), Spans()
    for leading in blocks:
        block = Block(call, leading, sizes, spans)
        for rows in _last_first(slice(0, call.query_length), length):
            yield _Task(next(places), block, rows)


def _last_first(rows: slice, size: int) -> list[slice]:
    """Cut rows into so many at a time: under a causal mask the longest come first."""
    return list(cut_into(rows, size))[::-1]


def _stored(call: AttentionCall, resolved: ResolvedCall, output: FloatArray, totals: Totals) -> AttentionGradients:
    """Turn back, split off the past, pack and sum what was broadcast; vectors are rounded to the storage type once."""
    query, key = _turned_back(resolved, totals.call)
    value = totals.value
    store = resolved.dtype.store
    past = 0 if call.past_key is None else call.past_key.shape[-2]
    if call.heads is not None:
        output, query, key, value = (pack(array) for array in (output, query, key, value))
    return AttentionGradients(
        output=store(output),
        query=store(sum_to(query, call.query.shape)),
        key=store(key[..., past:, :]),
        value=store(value[..., past:, :]),
        past_key=None if call.past_key is None else store(key[..., :past, :]),
        past_value=None if call.past_value is None else store(value[..., :past, :]),
        bias=None if call.bias is None or totals.call.bias is None else totals.call.bias.reshape(call.bias.shape),
        score_model=totals.score_model,
        normalizer=totals.normalizer,
    )


def _turned_back(call: ResolvedCall, gradients: ResolvedCall) -> tuple[FloatArray, FloatArray]:
    """Return the gradients of query and key before positions turned them: turned by as much the other way."""
    query, key = gradients.query, gradients.key
    if call.position is None:
        return query, key
    rows = np.arange(query.shape[-2])[:, None] + call.offset
    columns = np.arange(key.shape[-2])
    return call.position.turn(query, -rows[..., 0]), call.position.turn(key, -columns)
