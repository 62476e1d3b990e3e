"""Evaluate a call whose keys are held in pieces: each holder runs the spans of its range, and the front merges them.

A range of keys begins at a span of the kernel.  Keys, masks, biases and positions keep their indices in the whole, and
spans are merged in their order, so that the result has the bits of `evaluate_with_kernel` on all keys.
"""

from array import array
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.blockwise import Workers
from attention_core.call import ResolvedCall
from attention_core.field_shapes import MATRIX_FIELDS
from attention_core.interfaces import ProgressCallback, ShouldStop
from attention_core.native.forward import KernelResult, find_inputs, find_unsafe_rows, row_maximum
from attention_core.native.library import CONSTANTS, FIELD_INDEX, Kernel, address_of, pack_call
from attention_core.native.plans import (
    INTEGERS,
    Plan,
    PlanInputs,
    add_arrays,
    count_pair_operations,
    fill_request,
    result_shapes,
)
from attention_core.native.request import STATE_NUMBERS, TASK_TILES, KernelRequest
from attention_core.native.running import run_kernel


class PartialSpans(NamedTuple):
    """What some spans of keys give to rows, in the compute type."""

    state: FloatArray
    """(spans, rows, 4); rows are those of all matrices in their order."""
    output: FloatArray
    """Sums of weighted values before normalization, (spans, rows, Dv); Dv is 0 without an output."""
    matrices: dict[str, FloatArray]
    """Columns of scores, capped scores and logits, by name, (…, Lq, keys of the range); the logits stand for weights
    as well."""


class RowBlock(NamedTuple):
    """Rows in succession, of all matrices in their order, that continue from one range of keys to the next."""

    task_rows: int
    """Rows of a task."""
    first_task: int
    end_task: int
    first_row: int
    end_row: int


def without_keys(call: ResolvedCall) -> ResolvedCall:
    """Return a call that has one key, and one value, in the place of all of them, with the lengths of the whole.

    It stands for the whole in `merge_key_ranges`, and in `with_key_range` on another machine.
    """
    one = (..., slice(0, 1), slice(None))
    value = call.stored_value
    return replace(
        call,
        stored_key=np.ascontiguousarray(call.stored_key[one]),
        stored_value=None if value is None else np.ascontiguousarray(value[one]),
        present=None,
    )


def takes_key_ranges(kernel: Kernel, call: ResolvedCall, required: frozenset[str]) -> bool:
    """Return whether a kernel evaluates a call from ranges of its keys.

    :param kernel: the kernel.
    :param call: as `without_keys` returns it.
    :param required: names of arrays, as for `evaluate_with_kernel`.
    """
    given = find_inputs(kernel, call, required, 1)
    return given is not None and fill_request(given) is not None


def evaluate_key_range(
    kernel: Kernel,
    call: ResolvedCall,
    required: frozenset[str],
    first_key: int,
    workers: Workers | None = None,
    should_stop: ShouldStop | None = None,
    progress: ProgressCallback | None = None,
) -> PartialSpans | None:
    """Return what a range of keys gives to a call, for `merge_key_ranges`; None for a call that is left to NumPy.

    :param kernel: the kernel.
    :param call: a call with the lengths, masks and positions of all keys, whose `stored_key` and `stored_value` are
        those of the range.
    :param required: names of arrays, as for `evaluate_with_kernel`.
    :param first_key: index of the first key of the range, a multiple of the kernel's span.
    :param workers: threads that share the tasks; None for the calling thread alone.
    :param should_stop: as for `evaluate_with_kernel`.
    :param progress: as for `evaluate_with_kernel`.

    Raises Stopped.
    """
    part = _RangeRequest.find(kernel, call, _required_of_range(required), first_key, workers)
    if part is None:
        return None
    n_spans, matrices = part.n_spans, part.add_matrices()
    partial = PartialSpans(*part.new_partials(n_spans, part.rows), matrices)
    part.fields["split_spans"] = CONSTANTS["left_spans"]
    part.fields["n_tasks"] = int(part.fields["n_tasks"]) * n_spans
    part.run(partial, 0, workers, should_stop, progress)
    return partial


def divide_rows(kernel: Kernel, call: ResolvedCall, max_rows: int) -> list[RowBlock]:
    """Return blocks of rows for `continue_key_range`.

    :param kernel: the kernel.
    :param call: as `without_keys` returns it, one that `takes_key_ranges`.
    :param max_rows: about the maximum number of rows of a block.
    """
    given = find_inputs(kernel, call, frozenset(), 1)
    # Keys that each query head has its own form of are repeated, and no group shares them.
    group_rows = (1 if given is None else given.call.queries_per_kv_head) * call.query_length
    groups = prod(call.score_shape[:-1]) // max(1, group_rows)
    task_rows = min(group_rows, TASK_TILES * kernel.tile_rows)
    row_tasks = -(-group_rows // task_rows)
    n_tasks, block_tasks = groups * row_tasks, max(1, max_rows // task_rows)

    def first_row(task: int) -> int:
        return task // row_tasks * group_rows + task % row_tasks * task_rows

    starts = range(0, n_tasks, block_tasks)
    ends = [min(first + block_tasks, n_tasks) for first in starts]
    return [
        RowBlock(task_rows, first, end, first_row(first), first_row(end))
        for first, end in zip(starts, ends, strict=True)
    ]


def continue_key_range(
    kernel: Kernel,
    call: ResolvedCall,
    required: frozenset[str],
    first_key: int,
    block: RowBlock,
    before: PartialSpans | None,
    workers: Workers | None = None,
    should_stop: ShouldStop | None = None,
) -> PartialSpans | None:
    """Return what a range of keys and those before it give to some rows; None for a call that is left to NumPy.

    For many rows: the partial results of all spans would take more than the keys.  The result has one span.

    :param kernel: the kernel.
    :param call: as for `evaluate_key_range`.
    :param required: names of arrays other than matrices and ranking.
    :param first_key: index of the first key of the range, a multiple of the kernel's span.
    :param block: the rows.
    :param before: what the keys in front of the range gave to them; None for the first range.
    :param workers: threads that share the tasks; None for the calling thread alone.
    :param should_stop: as for `evaluate_with_kernel`.

    Raises Stopped.
    """
    part = _RangeRequest.find(kernel, call, _required_of_range(required), first_key, workers)
    if part is None:
        return None
    state, output = part.new_partials(1, block.end_row - block.first_row)
    if before is None:
        state[:], output[:] = (-np.inf, 0, 0, 0), 0
    else:
        state[:], output[:] = before.state, before.output
    partial = PartialSpans(state, output, {})
    fields = part.fields
    fields["split_spans"], fields["task_rows"] = CONSTANTS["continued_rows"], block.task_rows
    fields["next_task"], fields["n_tasks"] = block.first_task, block.end_task
    part.run(partial, block.first_row, workers, should_stop, None)
    return partial


def merge_key_ranges(
    kernel: Kernel,
    call: ResolvedCall,
    required: frozenset[str],
    partials: Sequence[PartialSpans],
    workers: Workers | None = None,
    should_stop: ShouldStop | None = None,
) -> KernelResult | None:
    """Return the required arrays of a call from what each range of its keys gave; None for a call left to NumPy.

    :param kernel: the kernel, that of all ranges.
    :param call: as `without_keys` returns it.
    :param required: names of arrays, those with which the ranges were evaluated.
    :param partials: of all ranges in the order of the keys; of `continue_key_range` those of the last range, in the
        order of their rows.
    :param workers: threads that share the rows; None for the calling thread alone.
    :param should_stop: as for `evaluate_with_kernel`.

    Raises Stopped.
    """
    given = find_inputs(kernel, call, required, 1 if workers is None else workers.threads)
    request = None if given is None else fill_request(given)
    if given is None or request is None:
        return None
    # Partial results of some rows each, or of some spans each.
    rows = prod(call.score_shape[:-1])
    axis = 0 if partials[0].state.shape[1] == rows else 1
    state, output = (
        np.concatenate([partial[which] for partial in partials], axis=axis) if len(partials) > 1 else partials[0][which]
        for which in (0, 1)
    )
    divided, fields = request.share_rows(given.threads, kernel), request.fields
    fields["split_spans"], fields["n_spans"] = CONSTANTS["merged_spans"], len(state)
    fields["n_tasks"] = -(-rows // int(fields["task_rows"]))
    state, output = np.ascontiguousarray(state), np.ascontiguousarray(output)
    fields["partial_state"], fields["partial_output"] = address_of(state), address_of(output)
    shapes = result_shapes(call, required)
    plan = Plan(
        pack_call(fields),
        request.kept,
        [
            (name, FIELD_INDEX[name], shape, INTEGERS.get(name, call.dtype.compute))
            for name, shape in shapes.items()
            if name not in MATRIX_FIELDS
        ],
        call.score_shape[:-1],
        divided,
        (0, 0),
        -(-output.size // max(1, call.key_length)),
    )
    packed = plan.packed[:]
    arrays, others = add_arrays(packed, plan, given.operands)
    for name, matrix in _join_matrices(partials, [name for name in shapes if name in MATRIX_FIELDS]).items():
        arrays[name], packed[FIELD_INDEX[name]] = matrix, address_of(matrix)
    run_kernel(kernel, packed, call.dtype.compute.char, plan.operations, workers, should_stop)
    of_rows = packed, plan, others[0], call.dtype.compute
    return KernelResult(arrays, row_maximum(*of_rows), find_unsafe_rows(*of_rows))


def _required_of_range(required: frozenset[str]) -> frozenset[str]:
    """Return what holders of ranges compute: the logits in the place of weights and ranking."""
    of_range = required & {"output", "scores", "capped_scores", "logits"}
    return of_range | {"logits"} if required & {"weights", "ranking"} else of_range


def _join_matrices(partials: Sequence[PartialSpans], names: list[str]) -> dict[str, FloatArray]:
    """Return matrices of all keys; "weights" has the logits, which the merge turns into weights."""
    joined: dict[str, FloatArray] = {}
    for name in names:
        own = "logits" if name == "weights" else name
        joined[name] = np.concatenate([partial.matrices[own] for partial in partials], axis=-1)
    return joined


class _RangeRequest:
    """The request of one range of keys, before it is divided into tasks for good."""

    def __init__(self, given: PlanInputs, request: KernelRequest, first_key: int) -> None:
        self._given, self._request, self._first_key = given, request, first_key
        self.fields = request.fields
        self._matrices: dict[str, FloatArray] = {}
        self._keys = given.operands.key.shape[-2]
        request.share_rows(given.threads, given.kernel)
        self.n_spans = -(-self._keys // given.kernel.span)
        self.fields["first_span"], self.fields["n_spans"] = first_key // given.kernel.span, self.n_spans
        self.rows = prod(given.call.score_shape[:-1])
        self._width = int(self.fields["n_value_features"])

    @classmethod
    def find(
        cls, kernel: Kernel, call: ResolvedCall, required: frozenset[str], first_key: int, workers: Workers | None
    ) -> "_RangeRequest | None":
        """Return the request of a range; None for a call that is left to NumPy."""
        if first_key % kernel.span:
            raise ValueError(f"expected a multiple of {kernel.span} as first_key; received {first_key}")
        given = find_inputs(kernel, call, required, 1 if workers is None else workers.threads)
        request = None if given is None else fill_request(given, first_key)
        return None if given is None or request is None else cls(given, request, first_key)

    def new_partials(self, spans: int, rows: int) -> tuple[FloatArray, FloatArray]:
        """Return arrays for the states of rows and for their outputs."""
        dtype = self._given.call.dtype.compute
        return np.empty((spans, rows, STATE_NUMBERS), dtype), np.empty((spans, rows, self._width), dtype)

    def add_matrices(self) -> dict[str, FloatArray]:
        """Return arrays for the columns of the required matrices, (…, Lq, keys of the range)."""
        call = self._given.call
        self.fields["matrix_keys"] = self._keys
        for name in self._given.required & MATRIX_FIELDS:
            self._matrices[name] = np.empty((*call.score_shape[:-1], self._keys), call.dtype.compute)
        return self._matrices

    def run(
        self,
        partial: PartialSpans,
        first_row: int,
        workers: Workers | None,
        should_stop: ShouldStop | None,
        progress: ProgressCallback | None,
    ) -> None:
        """Run the tasks of the range.

        :param partial: filled.
        :param first_row: row of all matrices that the first of its rows is.
        """
        given = self._given
        fields, dtype = self.fields, given.call.dtype.compute
        # The kernel indexes rows and columns of the whole.
        states = address_of(partial.state) - STATE_NUMBERS * dtype.itemsize * first_row
        outputs = address_of(partial.output) - self._width * dtype.itemsize * first_row
        fields["partial_state"], fields["partial_output"] = states, outputs
        if "output" in given.required:
            fields["output"] = outputs  # not written: says that values count
        for name, matrix in self._matrices.items():
            fields[name] = address_of(matrix) - dtype.itemsize * self._first_key
        packed: array[int] = pack_call(fields)
        packed[FIELD_INDEX["query"]], packed[FIELD_INDEX["key"]] = map(address_of, given.operands[:2])
        if given.operands.value is not None:
            packed[FIELD_INDEX["value"]] = address_of(given.operands.value)
        operations = count_pair_operations(given) * self.rows * self._keys
        run_kernel(given.kernel, packed, dtype.char, operations, workers, should_stop, progress)
