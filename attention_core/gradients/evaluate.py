"""The entry point of the backward pass: check a call, differentiate it by a kernel or NumPy, round the results."""

from itertools import product
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from attention_core.arrays import BoolArray, FloatArray
from attention_core.attend import as_floats
from attention_core.blockwise import Workers
from attention_core.blockwise.blocks import LeadingBlock, leading_blocks, output_index, split_last_first
from attention_core.blockwise.tasks import run_tasks
from attention_core.blockwise.work_monitor import WorkMonitor
from attention_core.call import AttentionCall, Heads, Layout, Offset, Positions, ResolvedCall
from attention_core.field_shapes import output_shape
from attention_core.gradients.accumulation import GradientAccumulator
from attention_core.gradients.backward import differentiate_rows
from attention_core.gradients.call import GradientCall, resolve_gradients
from attention_core.gradients.restore import ResolvedGradients, as_given
from attention_core.interfaces import Mask, Normalizer, Position, ProgressCallback, ScoreModel, ShouldStop
from attention_core.native import KernelGradients, differentiate_with_kernel, selected_kernel
from attention_core.results import AttentionGradients
from attention_core.score_modifier import ScoreModifier
from attention_core.tile_sizes import TASKS_PER_CALL, TILE_ROWS, TileSizes

MAX_HELD_NUMBERS = 1 << 22
"""About how many numbers the forward and backward pass of some rows holds at once, in each thread."""

MAX_BYTES_OF_ALL_THREADS = 1 << 27
"""About how many bytes all threads hold at once; a call with large rows or many keys has fewer threads."""

PENDING_PARTIALS = 2
"""Partial gradients of keys and values that a thread has made or that wait to be added in their order, about."""

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
    positions: Positions | None = None,
    dtype: str | None = None,
    layout: Layout | None = None,
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
    [[-2.225, 2.225]]

    Leading axes (…) broadcast; the gradient of a broadcast axis is summed.  No matrix of scores is ever whole: a
    compiled kernel takes a block of rows and keys at a time, where there is one that has the call; else NumPy takes
    some rows at a time, each with all keys it sees.

    :param query: (…, Lq, Dq).
    :param key: (…, Lk, Dk).
    :param value: (…, Lk, Dv).
    :param output_gradient: gradient of the loss with respect to the output, in its shape, (…, Lq, Dv) or packed; or one
        number for all of it.
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
    :param positions: positions of queries and of keys, past and new, in the place of i + offset and j; without an
        offset; default none.
    :param dtype: storage type of inputs and of vector gradients; default the type that query, key and value share, else
        float64.
    :param layout: order of the axes of query, key, value, past, output and their gradients: "bhsd", the default, or
        "bshd", (B, L, H, D), which needs rank 4 and no packed heads.
    :param score_modifier: changes capped scores + bias + ALiBi by a formula, before the mask; default none.
    :param workers: threads that share the rows; default the calling thread alone.  Results do not depend on their
        number.
    :param should_stop: called between tiles of rows, or about every 10 ms, from one thread at a time; True ends the
        call with `Stopped`; default none.
    :param progress: called as often with the numbers done and in total; default none.

    Returns `AttentionGradients`: the output, and each gradient in the shape in which its input was given.

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
        positions=positions,
        layout=layout,
        score_modifier=score_modifier,
    )
    gradient_call = resolve_gradients(call, as_floats(output_gradient))
    return evaluate_gradients(gradient_call, workers=workers, should_stop=should_stop, progress=progress)


def evaluate_gradients(
    call: GradientCall,
    *,
    workers: Workers | None = None,
    should_stop: ShouldStop | None = None,
    progress: ProgressCallback | None = None,
) -> AttentionGradients:
    """Run a call that `resolve_gradients` has checked; `differentiate` does both.

    Separate so that a caller can look at the call's cost, `predict_gradients`, before running it.

    :param call: what `resolve_gradients` returned.
    :param workers: threads that share the rows; default the calling thread alone.
    :param should_stop: called between tiles of rows, or about every 10 ms; True ends the call with `Stopped`; default
        none.
    :param progress: called as often with the numbers done and in total; default none.

    Returns all gradients of the call, those that are not included too.  Raises `Stopped`; InvalidValue for logits for
    which the normalizer has no weights (proportional: negative ones).
    """
    with np.errstate(all="ignore"):
        found = _run(call.resolved, call.output_gradient, workers or Workers(1), should_stop, progress)
        return as_given(call, found)


def _run(
    call: ResolvedCall,
    output_gradient: FloatArray,
    workers: Workers,
    should_stop: ShouldStop | None,
    progress: ProgressCallback | None,
) -> ResolvedGradients:
    """Differentiate all rows, by a kernel if there is one; those that it leaves to NumPy are added."""
    kernel = selected_kernel()
    found = None
    if kernel is not None:
        found = differentiate_with_kernel(kernel, call, output_gradient, workers, should_stop, progress)
    if found is None:
        return _differentiate_with_numpy(call, output_gradient, workers, should_stop, progress, None)
    if found.unsafe is not None:
        # The kernel has reported the end.
        rest = _differentiate_with_numpy(call, output_gradient, workers, should_stop, None, found.unsafe)
        _add_rows(found, found.unsafe, rest)
    return found


def _differentiate_with_numpy(
    call: ResolvedCall,
    output_gradient: FloatArray,
    workers: Workers,
    should_stop: ShouldStop | None,
    progress: ProgressCallback | None,
    chosen: BoolArray | None,
) -> GradientAccumulator:
    """Differentiate rows, shared among threads; results do not depend on the number of threads.

    :param chosen: rows to differentiate, (…, Lq), all others contributing nothing; None for all.
    """
    accumulator = GradientAccumulator(call)
    sizes = choose_backward_tile_sizes(call)
    rows_of_tiles = split_last_first(slice(0, call.query_length), sizes.rows)
    tiles = [
        (block, rows)
        for block, rows in product(leading_blocks(call, sizes.matrices), rows_of_tiles)
        if chosen is None or chosen[(*block.leading, rows)].any()
    ]
    monitor = WorkMonitor(should_stop, progress, len(tiles))
    max_threads = min(workers.threads, max_backward_threads(call, sizes))

    def run_task(task: tuple[int, tuple[LeadingBlock, slice]]) -> None:
        order, (block, rows) = task
        accumulator.wait_for_room(order, max_threads, monitor.has_failed)
        monitor.check_cancelled()
        index, of_rows = output_index(call, block, rows), (*block.leading, rows)
        output, maxima = accumulator.output[index], accumulator.maximum[of_rows]
        only = None if chosen is None else chosen[of_rows]
        gradients = differentiate_rows(block, rows, sizes.columns, output, maxima, output_gradient[index], only)
        accumulator.accumulate_in_order(order, block.leading, gradients)
        monitor.advance(1)

    run_tasks(list(enumerate(tiles)), run_task, workers, monitor, max_threads)
    return accumulator


def _add_rows(found: KernelGradients, chosen: BoolArray, rest: GradientAccumulator) -> None:
    """Add what some rows contribute to gradients, and set their outputs.

    :param found: gradients of all other rows, changed in place.
    :param chosen: the rows, (…, Lq).
    :param rest: their outputs and gradients.
    """
    found.output[chosen] = rest.output[chosen]
    for name in ("query", "key", "value", "bias"):
        added = getattr(rest, name)
        if added is not None:
            # A copy, since the gradient of a formula that does not use a vector is one number for all of it.
            total = np.array(getattr(found, name))
            # Adding 0 would change the sign of −0 in other rows.
            np.add(total, added, out=total, where=added != 0)
            setattr(found, name, total)
    for totals, gradients in ((found.score_model, rest.score_model), (found.normalizer, rest.normalizer)):
        for name, gradient in gradients.items():
            totals[name] = totals[name] + gradient


def choose_backward_tile_sizes(call: ResolvedCall) -> TileSizes:
    """Return how many rows are differentiated at once, and of how many matrices."""
    n_keys = max(1, call.key_length)
    rows_in_memory = max(1, MAX_HELD_NUMBERS // (n_keys * numbers_per_pair(call)))
    rows = max(1, min(call.query_length, TILE_ROWS, rows_in_memory))
    matrices = min(TILE_ROWS // rows, rows_in_memory // rows, 2 * prod(call.score_shape[:-2]) // TASKS_PER_CALL)
    return TileSizes(rows, min(n_keys, TILE_ROWS), max(1, matrices))


def max_backward_threads(call: ResolvedCall, sizes: TileSizes) -> int:
    """Return how many threads may differentiate rows of a call at the same time, at least 1.

    :param call: the call.
    :param sizes: how many rows and matrices each of them takes at once.
    """
    return max(1, MAX_BYTES_OF_ALL_THREADS // (call.dtype.compute.itemsize * max(1, numbers_per_thread(call, sizes))))


def numbers_per_thread(call: ResolvedCall, sizes: TileSizes) -> int:
    """Return how many numbers a thread holds at once: those of its rows with all keys, and partial gradients.

    :param call: the call.
    :param sizes: how many rows and matrices it takes at once.
    """
    value_features = output_shape(call)[-1]
    of_rows = sizes.rows * (call.query.shape[-1] + value_features)
    of_keys = call.key_length * (call.key.shape[-1] + value_features)
    pairs = sizes.rows * call.key_length * numbers_per_pair(call)
    return sizes.matrices * (pairs + of_rows + PENDING_PARTIALS * of_keys)


def numbers_per_pair(call: ResolvedCall) -> int:
    """Return how many numbers the forward and backward pass of some rows holds at once for each pair."""
    scoring = BACKWARD_SCRATCH_FACTOR * (call.score_model.scratch_per_score(call.features) - 1)
    modifying = 0 if call.score_modifier is None else BACKWARD_SCRATCH_FACTOR * call.score_modifier.scratch_per_score
    return 2 + call.normalizer.scratch_per_logit + scoring + modifying
