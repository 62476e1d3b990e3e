"""Run the forward pass of a call with a compiled kernel.

A row's result depends on the row, the keys it may see, their positions and the options alone: not on the batch, other
queries or heads, the number of threads, the included fields, or on how a sequence was cut into calls.  Keys come in
spans of 2 048 from key 0; every span starts anew, and spans are merged in the order of the keys (Dao et al. 2022,
"FlashAttention"; the order is fixed here).
"""

from array import array
from functools import partial
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import BoolArray, FloatArray
from attention_core.blockwise import Workers
from attention_core.call import ResolvedCall
from attention_core.capabilities import supports_kernel_normalizer, supports_pair_function
from attention_core.heads import repeat_kv_heads
from attention_core.interfaces import ProgressCallback, ScoreModel, ShouldStop
from attention_core.kernel_forms import PairFunction
from attention_core.native.leading import contiguous, operand, per_matrix
from attention_core.native.library import CALL_FIELDS, CONSTANTS, FIELD_INDEX, Kernel, address_of, pack_call
from attention_core.native.plans import Operands, Plan, PlanInputs, add_arrays, find_plan
from attention_core.native.request import TASK_TILES
from attention_core.native.running import run_kernel
from attention_core.positions import Alibi, Rotary

_UNSAFE_ROWS, _NOTABLE_ROWS = FIELD_INDEX["unsafe_rows"], FIELD_INDEX["notable_rows"]


ZERO = bytes(8)
"""A number of a stand-in for keys."""


class KernelResult(NamedTuple):
    """What a kernel computed."""

    fields: dict[str, FloatArray]
    """Arrays by name, in the compute type."""
    maximum: FloatArray | None
    """Largest visible logit of each row, (…, Lq): −∞ without a visible key, NaN or +∞ in a row with one; None if all
    are finite."""
    unsafe: BoolArray | None
    """Rows, (…, Lq), with NaN or +∞ among their logits or sums, or that have no weights; None for none."""


def evaluate_with_kernel(
    kernel: Kernel,
    call: ResolvedCall,
    required: frozenset[str],
    workers: Workers | None,
    should_stop: ShouldStop | None,
    progress: ProgressCallback | None,
) -> KernelResult | None:
    """Return the required arrays of a call; None for a call that is left to NumPy.

    Left to NumPy are score models, score modifiers, normalizers and positions that the kernels do not have, parameters
    beyond the range of the compute type, values with more leading axes than the scores, and calls without a pair.

    :param kernel: the kernel.
    :param call: any call.
    :param required: names of arrays: output, logsumexp, scores, capped_scores, logits, weights; others are ignored.
        With "ranking" and "logits" the `top_k` keys of each row are ranked: "ranked_keys" and "ranked_weights", each
        (…, Lq, top_k), hidden keys behind visible ones, and "ranked_counts", the visible keys of each row, (…, Lq).
    :param workers: threads that share the tasks; None for the calling thread alone.
    :param should_stop: called about every 10 ms while a large call runs, from one thread at a time.
    :param progress: called as often with the numbers of tasks done and in total, and at the end.

    Raises Stopped.
    """
    prepared = prepare(kernel, call, required, 1 if workers is None else workers.threads)
    if prepared is None:
        return None
    plan, operands = prepared
    packed = plan.packed[:]
    arrays, others = add_arrays(packed, plan, operands)
    run_kernel(kernel, packed, call.dtype.compute.char, plan.operations, workers, should_stop, progress)
    return result_of(packed, plan, arrays, others[0], call.dtype.compute)


def prepare(kernel: Kernel, call: ResolvedCall, required: frozenset[str], threads: int) -> tuple[Plan, Operands] | None:
    """Return the plan of a call and what it computes with; None for a call that is left to NumPy.

    :param kernel: the kernel.
    :param call: any call.
    :param required: as for `evaluate_with_kernel`.
    :param threads: threads, or other processes, that share the tasks, ≥ 1.
    """
    given = find_inputs(kernel, call, required, threads)
    plan = None if given is None else find_plan(given)
    return None if given is None or plan is None else (plan, given.operands)


def find_inputs(kernel: Kernel, call: ResolvedCall, required: frozenset[str], threads: int) -> PlanInputs | None:
    """Return what the plan of a call is made from; None for a call that is left to NumPy.

    :param kernel: the kernel.
    :param call: any call, whose keys and values may be those of a range.
    :param required: names of arrays.
    :param threads: threads, or other processes, that share the tasks, ≥ 1.
    """
    normalizer = call.normalizer.kernel_normalizer() if supports_kernel_normalizer(call.normalizer) else None
    if normalizer is None:
        return None
    if call.queries_per_kv_head > 1 and (has_head_tensors(call.score_model) or has_values_of_query_heads(call)):
        call = repeat_kv_heads(call)
    pair = pair_function(kernel, call)
    if pair is None:
        return None
    operands = Operands(
        contiguous(pair.queries),
        contiguous(pair.keys),
        contiguous(call.stored_value) if "output" in required and call.stored_value is not None else None,
    )
    return PlanInputs(kernel, call, pair, normalizer, required, operands, threads)


def has_head_tensors(model: object) -> bool:
    """Return whether a score model has a vector or matrix for each query head; a stand-in for one has none."""
    return isinstance(model, ScoreModel) and model.has_head_tensors()


def keeps_keys(model: object) -> bool:
    """Return whether the pair function of a score model has the keys as they are; not so for a stand-in for one."""
    return isinstance(model, ScoreModel) and model.keeps_keys


def has_values_of_query_heads(call: ResolvedCall) -> bool:
    """Return whether the leading axes of the values are those of the query heads, which broadcasting gives rank 3."""
    value = call.stored_value
    return value is not None and value.ndim == 3 and value.shape[0] > 1


def pair_function(kernel: Kernel, call: ResolvedCall) -> PairFunction | None:
    """Return the score model as a pair function; None where a kernel has none, or nothing to score."""
    if not prod(call.score_shape) or call.score_modifier is not None or not supports_pair_function(call.score_model):
        return None
    if call.stored_value is not None and call.output_leading_shape != call.score_shape[:-2]:
        return None
    if call.position is not None and type(call.position) not in (Alibi, Rotary):
        return None
    keys, dtype, project = call.stored_key, call.dtype.compute, partial(project_rows, kernel)
    if keys.dtype == dtype or not keeps_keys(call.score_model):
        return call.score_model.pair_function(call.query, keys if keys.dtype == dtype else call.key, project)
    # The model sees a stand-in of the same shape that takes no memory.
    stand_in: FloatArray = np.ndarray(keys.shape, dtype, ZERO, strides=(0,) * keys.ndim)
    pair = call.score_model.pair_function(call.query, stand_in, project)
    return None if pair is None else pair._replace(keys=keys)


def result_of(
    packed: "array[int]", plan: Plan, arrays: dict[str, FloatArray], of_rows: NDArray[np.uint8], dtype: np.dtype[Any]
) -> KernelResult:
    """Return the result of a call that has run, with what it says of each row as far as it is needed."""
    return KernelResult(
        arrays, row_maximum(packed, plan, of_rows, dtype), find_unsafe_rows(packed, plan, of_rows, dtype)
    )


def row_maximum(
    packed: "array[int]", plan: Plan, of_rows: NDArray[np.uint8], dtype: np.dtype[Any]
) -> FloatArray | None:
    """Return the largest logit of each row of a call that has run, (…, Lq); None if all are finite.

    :param packed: the request that has run.
    :param plan: its plan.
    :param of_rows: what the kernel has written about its rows.
    :param dtype: compute type.
    """
    if not packed[_NOTABLE_ROWS]:
        return None
    return of_rows[: prod(plan.row_shape) * dtype.itemsize].view(dtype).reshape(plan.row_shape)


def find_unsafe_rows(
    packed: "array[int]", plan: Plan, of_rows: NDArray[np.uint8], dtype: np.dtype[Any]
) -> BoolArray | None:
    """Return which rows of a call that has run are unsafe, (…, Lq), as `KernelResult.unsafe`; None for none.

    :param packed: the request that has run.
    :param plan: its plan.
    :param of_rows: what the kernel has written about its rows.
    :param dtype: compute type.
    """
    if not packed[_UNSAFE_ROWS]:
        return None
    return of_rows[prod(plan.row_shape) * dtype.itemsize :].view(np.bool_).reshape(plan.row_shape)


def project_rows(kernel: Kernel, rows: FloatArray, weight: FloatArray) -> FloatArray:
    """Return vectors times the transpose of a weight, each row by itself.

    A matrix product of BLAS rounds a row in one way or another as the number of rows changes.

    :param kernel: the kernel.
    :param rows: (…, n, D).
    :param weight: (F, D) or (Hq, F, D).
    """
    leading = np.broadcast_shapes(rows.shape[:-2], weight.shape[:-2])
    projected: FloatArray = np.empty((*leading, rows.shape[-2], weight.shape[-2]), rows.dtype)
    if not projected.size:
        return projected
    fields = CALL_FIELDS.copy()
    rows, weight = contiguous(rows), contiguous(weight)
    given, weights = operand(rows, leading, 2), operand(weight, leading, 2)
    ones = per_matrix(1.0, leading)
    n_matrices, n_rows = prod(leading), rows.shape[-2]
    fields.update(
        n_matrices=n_matrices,
        n_queries=n_rows,
        n_keys=weight.shape[-2],
        n_spans=-(-weight.shape[-2] // kernel.span),
        matrix_keys=weight.shape[-2],
        n_features=rows.shape[-1],
        group=1,
        task_rows=min(n_rows, TASK_TILES * kernel.tile_rows),
        score=CONSTANTS["projection"],
        normalizer=CONSTANTS["scores_only"],
        query=address_of(rows),
        query_at=given.starts.address,
        query_stride=given.strides[0],
        key=address_of(weight),
        key_at=weights.starts.address,
        key_stride=weights.strides[0],
        scale=address_of(ones),
        temperature=address_of(ones),
        scores=address_of(projected),
    )
    fields["n_tasks"] = n_matrices * -(-n_rows // int(fields["task_rows"]))
    run_kernel(kernel, pack_call(fields), rows.dtype.char, operations=2 * projected.size * rows.shape[-1])
    return projected
