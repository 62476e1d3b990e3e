"""Run the forward pass of a call in parts that something else than threads of this process computes."""

from array import array
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core.call import ResolvedCall
from attention_core.field_shapes import MATRIX_FIELDS
from attention_core.interfaces import ProgressCallback, ShouldStop
from attention_core.native.cutting import cut_call
from attention_core.native.forward import KernelResult, prepare, result_of
from attention_core.native.library import FIELD_INDEX, Kernel
from attention_core.native.parts import EvaluateParts, store_part
from attention_core.native.plans import Plan, add_arrays
from attention_core.native.running import run_kernel

_NEXT_TASK, _N_TASKS, _TASKS_DONE = (FIELD_INDEX[name] for name in ("next_task", "n_tasks", "tasks_done"))
_UNSAFE_ROWS, _NOTABLE_ROWS = FIELD_INDEX["unsafe_rows"], FIELD_INDEX["notable_rows"]
_SPLIT_SPANS = FIELD_INDEX["split_spans"]


def evaluate_in_parts(
    kernel: Kernel,
    call: ResolvedCall,
    required: frozenset[str],
    n_parts: int,
    evaluate_parts: EvaluateParts,
    should_stop: ShouldStop | None,
    progress: ProgressCallback | None,
) -> KernelResult | None:
    """Return what `evaluate_with_kernel` does, with the same bits, from parts that are computed elsewhere.

    :param kernel: of all parts.
    :param call: any call.
    :param required: as for `evaluate_with_kernel`.
    :param n_parts: about how many parts to cut the call into, ≥ 1.
    :param evaluate_parts: computes the parts of a call.
    :param should_stop: passed on; None for never.
    :param progress: called after each part with the numbers of tasks done and in total; None for never.

    Raises Stopped, and what `evaluate_parts` raises.
    """
    prepared = prepare(kernel, call, required, n_parts)
    if prepared is not None and prepared[0].packed[_SPLIT_SPANS] and _has_matrices(prepared[0]):
        # Parts of a row's keys would have to return parts of its matrices.
        prepared = prepare(kernel, call, required, 1)
    if prepared is None:
        return None
    plan, operands = prepared
    packed, dtype = plan.packed[:], call.dtype.compute
    arrays, others = add_arrays(packed, plan, operands)
    whole = _by_name(arrays, others, plan, dtype)
    done = 0
    for part, result in evaluate_parts(cut_call(kernel, packed, plan, dtype, n_parts), should_stop):
        store_part(part, result, whole)
        packed[_UNSAFE_ROWS] += result.unsafe_rows
        packed[_NOTABLE_ROWS] += result.notable_rows
        done += part.n_tasks
        if progress is not None:
            progress(done, packed[_N_TASKS])
    if packed[_SPLIT_SPANS]:
        _merge(kernel, packed, dtype.char, should_stop)
    return result_of(packed, plan, arrays, others[0], dtype)


def _has_matrices(plan: Plan) -> bool:
    return any(name in MATRIX_FIELDS for name, *_ in plan.results)


def _by_name(
    arrays: dict[str, NDArray[Any]], others: list[NDArray[Any]], plan: Plan, dtype: np.dtype[Any]
) -> dict[str, NDArray[Any]]:
    """Return all arrays that parts fill, by the names of their fields."""
    split = prod(plan.row_shape) * dtype.itemsize
    of_rows = {"maximum": others[0][:split].view(dtype), "unsafe": others[0][split:]}
    if len(others) == 1:
        return {**arrays, **of_rows}
    # One number more than there are, so that the array has an address.
    return {"partial_output": others[1][: plan.partial_numbers[0]], "partial_state": others[2]}


def _merge(kernel: Kernel, packed: "array[int]", type_character: str, should_stop: ShouldStop | None) -> None:
    """Merge the spans of all rows: the kernel does it after the last task, which is computed once more."""
    packed[_NEXT_TASK] = packed[_TASKS_DONE] = packed[_N_TASKS] - 1
    run_kernel(kernel, packed, type_character, 0, None, should_stop)
