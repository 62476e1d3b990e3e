"""The request to a kernel: fields of `struct call`, and the arrays that they point into."""

from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import IntArray
from attention_core.call import ResolvedCall
from attention_core.dtypes import BFLOAT16
from attention_core.kernel_forms import KernelNormalizer, PairFunction
from attention_core.native.leading import KeptArrays, operand, per_matrix
from attention_core.native.library import CALL_FIELDS, CONSTANTS, Kernel
from attention_core.native.running import MIN_SHARED_OPERATIONS
from attention_core.native.visibility import Visibility
from attention_core.positions import Alibi

TASK_TILES = 20
"""Tiles of a task: keys are packed once for all of them (benchmarks/RESULTS.md, "rows of a task")."""

STATE_NUMBERS = 4
"""Numbers of the state of a row in a span: maximum, sum, whether a logit is not finite, whether one is negative."""

MAX_PARTIAL_NUMBERS = 1 << 20
"""Numbers that partial results may hold; a call with more of them has rows enough to share among threads."""

TASKS_PER_THREAD = 4
"""Tasks for each thread, if there are as many tiles, so that threads end at about the same time."""


def rows_per_task(groups: int, group_rows: int, threads: int, tile_rows: int) -> int:
    """Return how many rows a task has, on which results do not depend.

    :param groups: groups of matrices that share keys.
    :param group_rows: rows of a group, its matrices times their queries.
    :param threads: threads that share the tasks.
    :param tile_rows: rows of a kernel's tile.
    """
    rows = min(group_rows, TASK_TILES * tile_rows)
    if threads > 1:
        even = -(-groups * group_rows // (TASKS_PER_THREAD * threads))
        rows = min(rows, max(2 * tile_rows, -(-even // tile_rows) * tile_rows))
    return rows


class Division(NamedTuple):
    """Fields of a call that say how it is divided into tasks."""

    task_rows: int
    n_tasks: int
    n_spans: int
    split_spans: int


class TaskRows(NamedTuple):
    """How a call with any number of keys is divided into tasks.

    :param n_rows: rows of all matrices.
    :param group_rows: rows of a group, its matrices times their queries.
    :param n_value_features: of an output.
    :param span: keys of a span of the kernel.
    :param task_rows: rows of a task.
    :param max_split_tasks: tasks of rows from which on there are enough of them, so that no task is split by spans.
    :param min_split_keys: number of keys from which on threads share the call.
    """

    n_rows: int
    group_rows: int
    n_value_features: int
    span: int
    task_rows: int
    max_split_tasks: int
    min_split_keys: int

    def divide(self, n_keys: int) -> Division:
        """Return the tasks for a number of keys.

        Where rows are too few to share among the threads, each span of a row is a task.  One thread then finishes all
        rows, each weight among them, so that a call with matrices is split only where other threads had nothing to do.
        """
        groups, spans = self.n_rows // self.group_rows, -(-n_keys // self.span)
        tasks = groups * -(-self.group_rows // self.task_rows)
        fits = spans * self.n_rows * self.n_value_features <= MAX_PARTIAL_NUMBERS
        if fits and spans > 1 and tasks < self.max_split_tasks and n_keys >= self.min_split_keys:
            return Division(self.task_rows, tasks * spans, spans, int(CONSTANTS["single_spans"]))
        return Division(self.task_rows, tasks, spans, int(CONSTANTS["whole_rows"]))

    def partial_numbers(self, n_keys: int) -> tuple[int, int]:
        """Return the numbers of partial outputs and of partial states for a number of keys."""
        rows = self.n_rows * -(-n_keys // self.span) if self.divide(n_keys).split_spans else 0
        return rows * self.n_value_features, STATE_NUMBERS * rows


class KernelRequest:
    """The fields of a kernel's call, and the arrays that they point into."""

    def __init__(self, call: ResolvedCall) -> None:
        self.leading, self.dtype = call.score_shape[:-2], call.dtype.compute
        self.fields = CALL_FIELDS.copy()
        self.kept = KeptArrays()
        n_matrices = prod(self.leading)
        self.fields.update(n_matrices=n_matrices, n_queries=call.query_length, n_keys=call.key_length, group=1)
        self.fields["matrix_keys"] = call.key_length

    def set_vectors(self, name: str, array: NDArray[Any], repeats: int = 1, first_row: int = 0) -> None:
        """Set the layout of query, key or value; their addresses come with each run.

        :param name: "query", "key" or "value".
        :param array: (…, n, features), as `leading.contiguous` returns it; keys and values may be as they are stored.
        :param repeats: consecutive query heads that share one head of the array.
        :param first_row: index of the first row of the array, if it holds a range of the keys or values.
        """
        rows = operand(array, self.leading, 2, repeats)
        self.fields[f"{name}_at"] = self.kept.keep_starts(rows, first_row * rows.strides[0])
        self.fields[f"{name}_stride"] = rows.strides[0]
        if array.dtype != self.dtype:
            self.fields[f"{name}_storage"] = CONSTANTS["bfloat" if array.dtype == BFLOAT16 else "half"]

    def set_pair_function(self, pair: PairFunction, repeats: int, first_key: int = 0) -> None:
        """Set the fields of the score model.

        :param pair: the pair function of all queries, and of all keys or of a range of them.
        :param repeats: consecutive query heads that share one head of the keys.
        :param first_key: index of the first of its keys.
        """
        fields = self.fields
        fields["score"], fields["n_features"] = CONSTANTS[pair.kind], pair.queries.shape[-1]
        fields["scale"] = self.kept.keep(per_matrix(pair.scale, self.leading))
        if pair.query_terms is not None and pair.key_terms is not None:
            sides = (("query_terms", pair.query_terms, 1, 0), ("key_terms", pair.key_terms, repeats, first_key))
            for name, terms, shared, first in sides:
                part = operand(np.ascontiguousarray(terms), self.leading, 1, shared)
                fields[name], fields[f"{name}_at"] = self.kept.keep(part.array), self.kept.keep_starts(part, first)
        if pair.score_vector is not None:
            vector = np.ascontiguousarray(pair.score_vector)
            part = operand(vector, self.leading, 1)
            fields["score_vector"], fields["score_vector_at"] = self.kept.keep(vector), self.kept.keep_starts(part)

    def set_normalizer(self, normalizer: KernelNormalizer) -> None:
        """Set the fields of the normalizer."""
        fields = self.fields
        fields["normalizer"] = CONSTANTS[normalizer.kind]
        fields["temperature"] = self.kept.keep(per_matrix(normalizer.parameter, self.leading))
        fields["nan_rows"] = int(normalizer.kind != "none")
        if normalizer.sink is not None:
            # One for all heads is rounded as one for each is, so that a head alone has the same bits.
            sink = np.asarray(normalizer.sink, self.dtype)
            fields["sink"] = self.kept.keep(per_matrix(sink, self.leading))

    def set_logit_steps(self, call: ResolvedCall, visible: Visibility) -> None:
        """Set the fields of soft cap, bias, ALiBi and masks."""
        fields, leading = self.fields, self.leading
        fields["softcap"] = float(call.softcap or 0.0)
        if call.bias is not None:
            bias = operand(call.bias, leading, 2)
            fields["bias"], fields["bias_at"] = self.kept.keep(bias.array), self.kept.keep_starts(bias)
            fields["bias_row_stride"], fields["bias_key_stride"] = bias.strides
        if isinstance(call.position, Alibi):
            fields["slopes"] = self.kept.keep(per_matrix(call.position.slopes, leading))
            whole = call.tile(slice(0, call.query_length))
            self._set_positions("query", whole.query_positions[..., 0])
            if call.key_positions is not None:
                self._set_positions("key", call.key_positions[..., 0, :])
        if visible.ranges is not None:
            first, end = visible.ranges
            fields["first_key"], fields["end_key"] = self.kept.keep(first), self.kept.keep(end)
            fields["range_at"] = self.kept.keep_starts(operand(first, leading, 1))
        if visible.allowed is not None:
            allowed = operand(visible.allowed, leading, 2)
            fields["allowed"], fields["allowed_at"] = self.kept.keep(allowed.array), self.kept.keep_starts(allowed)
            fields["allowed_row_stride"], fields["allowed_key_stride"] = allowed.strides

    def _set_positions(self, name: str, positions: IntArray) -> None:
        """Set the positions of "query" or "key", (…, n), whose leading axes broadcast to those of the scores."""
        part = operand(np.ascontiguousarray(positions, np.int64), self.leading, 1)
        self.fields[f"{name}_position"] = self.kept.keep(part.array)
        self.fields[f"{name}_position_at"] = self.kept.keep_starts(part)

    def share_among(self, threads: int, kernel: Kernel, operations_per_key: int, *, has_matrices: bool) -> TaskRows:
        """Divide the call into tasks, on which results do not depend; return what the division depends on.

        :param threads: number of threads.
        :param kernel: the kernel, for the sizes of its tiles and spans.
        :param operations_per_key: about how many floating-point operations all rows take for one key.
        :param has_matrices: whether scores, logits or weights are written.
        """
        max_split_tasks = 0 if threads == 1 else threads if has_matrices else TASKS_PER_THREAD * threads
        min_split_keys = -(-MIN_SHARED_OPERATIONS // max(1, operations_per_key))
        return self._divide(threads, kernel, max_split_tasks, min_split_keys)

    def share_rows(self, threads: int, kernel: Kernel) -> TaskRows:
        """Divide the rows of the call into tasks that take all spans; return what the division depends on.

        :param threads: number of threads.
        :param kernel: the kernel, for the sizes of its tiles and spans.
        """
        return self._divide(threads, kernel, 0, 0)

    def _divide(self, threads: int, kernel: Kernel, max_split_tasks: int, min_split_keys: int) -> TaskRows:
        fields = self.fields
        n_rows, group_rows = int(fields["n_matrices"] * fields["n_queries"]), int(fields["group"] * fields["n_queries"])
        task_rows = rows_per_task(n_rows // group_rows, group_rows, threads, kernel.tile_rows)
        n_value_features = int(fields["n_value_features"])
        rows = TaskRows(n_rows, group_rows, n_value_features, kernel.span, task_rows, max_split_tasks, min_split_keys)
        fields.update(rows.divide(int(fields["n_keys"]))._asdict())
        return rows
