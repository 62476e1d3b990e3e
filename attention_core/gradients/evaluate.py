"""The entry point of the backward pass: check a call, differentiate it by a kernel or NumPy, round the results."""

from itertools import product
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from attention_core.arrays import FloatArray
from attention_core.attend import as_floats
from attention_core.blockwise import Workers
from attention_core.blockwise.blocks import LeadingBlock, leading_blocks, output_index, split_last_first
from attention_core.blockwise.tasks import run_tasks
from attention_core.blockwise.work_monitor import WorkMonitor
from attention_core.call import AttentionCall, AttentionGradients, Heads, Offset, ResolvedCall
from attention_core.errors import ShapeMismatch
from attention_core.field_shapes import output_shape
from attention_core.gradients.accumulation import GradientAccumulator
from attention_core.gradients.backward import differentiate_rows
from attention_core.gradients.kernel import run_kernel_if_any
from attention_core.heads import pack_heads, unpack_heads
from attention_core.interfaces import Mask, Normalizer, Position, ProgressCallback, ScoreModel, ShouldStop
from attention_core.reductions import sum_to_shape
from attention_core.resolve import resolve
from attention_core.score_modifier import ScoreModifier
from attention_core.tile_sizes import TASKS_PER_CALL, TILE_ROWS, TileSizes

MAX_HELD_NUMBERS = 1 << 24
"""About how many numbers the forward and backward pass of some rows holds at once."""

BACKWARD_SCRATCH_FACTOR = 8
"""Scratch numbers of a score model's backward pass, as a multiple of those of its forward pass beside the score."""


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
    score_modifier: ScoreModifier | None = None,
    workers: Workers | None = None,
    should_stop: ShouldStop | None = None,
    progress: ProgressCallback | None = None,
) -> AttentionGradients:
    """Compute attention and the gradients of a loss with respect to all inputs and parameters.

    ::

        ∂value   = weightsᵀ · ∂output
        ∂weights = ∂output · valueᵀ
        ∂logits  = ∂weights through the normalizer
        ∂biased  = ∂logits through the score modifier
        ∂scores  = ∂biased · (1 − (capped / softcap)²)
        ∂query, ∂key and ∂parameters = ∂scores through the score model

    >>> from attention_core import differentiate
    >>> found = differentiate([[1.0, 0.0]], [[2.0, 0.0], [0.0, 2.0]], [[10.0], [20.0]], [[1.0]])
    >>> found.value.round(3).tolist()
    [[0.804], [0.196]]
    >>> found.query.round(3).tolist()
    [[-2.226, 2.226]]

    Leading axes (…) broadcast; the gradient of a broadcast axis is summed.  No matrix of scores is ever whole: a
    compiled kernel takes a block of rows and keys at a time, where there is one that has the call; else NumPy takes
    some rows at a time, each with all keys it sees.

    :param query: (…, Lq, Dq).
    :param key: (…, Lk, Dk).
    :param value: (…, Lk, Dv).
    :param output_gradient: gradient of the loss with respect to the output, in its shape, (…, Lq, Dv) or packed.
    :param score_model: a(q, k); default `ScaledDotProduct()`.
    :param normalizer: maps logits to weights; default `Softmax()`; hardmax has no gradient.
    :param softcap: bounds scores to (−softcap, softcap), before bias and mask; default none.
    :param mask: which keys a query may see; default all of them.
    :param offset: position of query 0 among the keys: an integer, one per batch row (B), or "bottom_right"; default the
        length of the past.
    :param bias: added to the scores, broadcast right-aligned to (…, Lq, Lk); default none.
    :param position: `Alibi()` or `Rotary()`; default none.
    :param heads: how many heads are packed into the last axis of rank-3 inputs; default: heads, if any, have an axis of
        their own.
    :param past_key: cached keys (…, P, Dk), before rotation; default none.
    :param past_value: cached values (…, P, Dv); default none; given if and only if `past_key` is.
    :param dtype: storage type of inputs and of vector gradients; default the type that query, key and value share, else
        float64.
    :param score_modifier: changes capped scores + bias + ALiBi by a formula, before the mask; default none.
    :param workers: threads that share the rows; default the calling thread alone.  Results do not depend on their
        number.
    :param should_stop: called between tiles of rows, or about every 10 ms, from one thread at a time; True ends the
        call with `Stopped`; default none.
    :param progress: called as often with the numbers done and in total; default none.

    Returns `AttentionGradients`: the output, and each gradient in the shape of its input.

    Edge cases: a key that a query may not see gets no gradient from it, and passes on none of its NaN or ±∞.  The
    gradients of a NaN row are NaN, and so are those of the keys it sees.  At a kink, such as relu's at 0, the slope is
    taken as 0.

    Raises what `attend` raises; InvalidValue for a normalizer without a slope (hardmax); ShapeMismatch for an output
    gradient of another shape.

    Rumelhart, Hinton & Williams 1986, "Learning Representations by Back-Propagating Errors"; some rows at a time as in
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
        score_modifier=score_modifier,
    )
    with np.errstate(all="ignore"):
        resolved = resolve(call)
        loaded_gradient = _load_output_gradient(as_floats(output_gradient), resolved, call.heads)
        output, accumulator = _run(resolved, loaded_gradient, workers or Workers(1), should_stop, progress)
        return _to_storage(call, resolved, output, accumulator)


def _load_output_gradient(gradient: FloatArray, call: ResolvedCall, heads: Heads | None) -> FloatArray:
    """Return the gradient of the output in the compute type, heads unpacked; raise ShapeMismatch for another shape."""
    path = ("output_gradient",)
    shape = output_shape(call)
    expected = shape if heads is None else (shape[0], shape[2], shape[1] * shape[3])
    if gradient.shape != expected:
        raise ShapeMismatch(
            path,
            expected=f"the shape of the output, {list(expected)}",
            received=f"shape {list(gradient.shape)}",
            advice="Send the gradient of the loss with respect to the output, one number for each of its elements.",
        )
    loaded = call.dtype.load(gradient, path)
    return loaded if heads is None else unpack_heads(loaded, heads.query, "output_gradient")


def _run(
    call: ResolvedCall,
    loaded_gradient: FloatArray,
    workers: Workers,
    should_stop: ShouldStop | None,
    progress: ProgressCallback | None,
) -> tuple[FloatArray, GradientAccumulator]:
    """Differentiate all rows, shared among threads; results do not depend on the number of threads."""
    accumulator = GradientAccumulator(call)
    by_kernel = run_kernel_if_any(call, loaded_gradient, accumulator, workers, should_stop, progress)
    if by_kernel is not None:
        return by_kernel, accumulator
    sizes = choose_backward_tile_sizes(call)
    output = np.empty(output_shape(call), dtype=call.dtype.compute)
    rows_of_tiles = split_last_first(slice(0, call.query_length), sizes.rows)
    tasks = list(enumerate(product(leading_blocks(call, sizes.matrices), rows_of_tiles)))
    monitor = WorkMonitor(should_stop, progress, len(tasks))

    def run_task(task: tuple[int, tuple[LeadingBlock, slice]]) -> None:
        order, (block, rows) = task
        monitor.check_cancelled()
        index = output_index(call, block, rows)
        gradients = differentiate_rows(block, rows, sizes.columns, output[index], loaded_gradient[index])
        accumulator.accumulate_in_order(order, block.leading, gradients)
        monitor.advance(1)

    run_tasks(tasks, run_task, workers, monitor)
    return output, accumulator


def choose_backward_tile_sizes(call: ResolvedCall) -> TileSizes:
    """Return how many rows are differentiated at once, and of how many matrices."""
    n_keys = max(1, call.key_length)
    scoring = BACKWARD_SCRATCH_FACTOR * (call.score_model.scratch_per_score(call.features) - 1)
    modifying = 0 if call.score_modifier is None else BACKWARD_SCRATCH_FACTOR * call.score_modifier.scratch_per_score
    numbers_per_pair = 2 + call.normalizer.scratch_per_logit + scoring + modifying
    rows_in_memory = max(1, MAX_HELD_NUMBERS // (n_keys * numbers_per_pair))
    rows = max(1, min(call.query_length, TILE_ROWS, rows_in_memory))
    matrices = min(TILE_ROWS // rows, rows_in_memory // rows, 2 * prod(call.score_shape[:-2]) // TASKS_PER_CALL)
    return TileSizes(rows, min(n_keys, TILE_ROWS), max(1, matrices))


def _to_storage(
    call: AttentionCall, resolved: ResolvedCall, output: FloatArray, accumulator: GradientAccumulator
) -> AttentionGradients:
    """Return the gradients as their inputs were given: unrotated, packed, past apart, summed, in the storage type."""
    query, key = _rotate_back(resolved, accumulator.query, accumulator.key)
    value, bias = accumulator.value, accumulator.bias
    store = resolved.dtype.store
    past = 0 if call.past_key is None else call.past_key.shape[-2]
    if call.heads is not None:
        output, query, key, value = (pack_heads(array) for array in (output, query, key, value))
    return AttentionGradients(
        output=store(output),
        query=store(sum_to_shape(query, call.query.shape)),
        key=store(key[..., past:, :]),
        value=store(value[..., past:, :]),
        past_key=None if call.past_key is None else store(key[..., :past, :]),
        past_value=None if call.past_value is None else store(value[..., :past, :]),
        bias=None if call.bias is None or bias is None else bias.reshape(call.bias.shape),
        score_model=accumulator.score_model,
        normalizer=accumulator.normalizer,
        score_modifier=accumulator.score_modifier,
    )


def _rotate_back(call: ResolvedCall, query: FloatArray, key: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the gradients of query and key before rotation: rotated by the opposite angles."""
    if call.position is None:
        return query, key
    rows = np.arange(query.shape[-2])[:, None] + call.offset
    columns = np.arange(key.shape[-2])
    return call.position.rotate(query, -rows[..., 0]), call.position.rotate(key, -columns)
