"""Cut a kernel's call into parts."""

import ctypes
from array import array
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.native.library import CONSTANTS, FIELD_INDEX, Kernel
from attention_core.native.parts import Bytes, CutCall, Input, Output, Part, sources_digest
from attention_core.native.plans import Plan
from attention_core.native.request import STATE_NUMBERS

INTEGER_BYTES = 8

PER_MATRIX = ("scale", "slopes", "temperature", "sink")
"""Fields with a number of eight bytes for each matrix."""


class Axes(NamedTuple):
    """An input of a kernel: where its matrices begin, and the lengths and strides of its other axes."""

    at: str
    """Field with the beginnings."""
    lengths: tuple[str | int, ...]
    """Fields, or numbers."""
    strides: tuple[str | int, ...]
    size: int | None
    """Bytes of an element; None for the compute type."""


INPUTS = {
    "query": Axes("query_at", ("n_queries", "n_features"), ("query_stride", 1), None),
    "key": Axes("key_at", ("n_keys", "n_features"), ("key_stride", 1), None),
    "value": Axes("value_at", ("n_keys", "n_value_features"), ("value_stride", 1), None),
    "query_terms": Axes("query_terms_at", ("n_queries",), (1,), None),
    "key_terms": Axes("key_terms_at", ("n_keys",), (1,), None),
    "score_vector": Axes("score_vector_at", ("n_features",), (1,), None),
    "bias": Axes("bias_at", ("n_queries", "n_keys"), ("bias_row_stride", "bias_key_stride"), None),
    "query_position": Axes("query_position_at", ("n_queries",), (1,), INTEGER_BYTES),
    "key_position": Axes("key_position_at", ("n_keys",), (1,), INTEGER_BYTES),
    "first_key": Axes("range_at", ("n_queries",), (1,), INTEGER_BYTES),
    "end_key": Axes("range_at", ("n_queries",), (1,), INTEGER_BYTES),
    "allowed": Axes("allowed_at", ("n_queries", "n_keys"), ("allowed_row_stride", "allowed_key_stride"), 1),
}
"""Inputs of the forward pass, by their field of `struct call`."""

ARRAYS_OF_ROWS = tuple(FIELD_INDEX[name] for name in ("maximum", "unsafe", "partial_output", "partial_state"))
"""Arrays that a kernel fills beside the results."""

KEY_INPUTS = ("key", "value")
"""Inputs of which a part of some spans has its keys alone."""


def cut_call(kernel: Kernel, packed: "array[int]", plan: Plan, dtype: np.dtype[Any], n_parts: int) -> CutCall:
    """Return a call in parts.

    :param kernel: of all parts.
    :param packed: the request of the whole call, with the addresses of its operands, whose arrays the caller keeps.
    :param plan: its plan.
    :param dtype: compute type.
    :param n_parts: about how many; at most one a task.
    """
    return Cutter(kernel, packed, plan, dtype).cut(n_parts)


class Cutter:
    """Cuts one call."""

    def __init__(self, kernel: Kernel, packed: "array[int]", plan: Plan, dtype: np.dtype[Any]) -> None:
        """Prepare to cut.

        :param kernel: of all parts.
        :param packed: the request of the whole call, with the addresses of its operands.
        :param plan: its plan.
        :param dtype: compute type.
        """
        self._kernel, self._packed, self._plan, self._dtype = kernel, packed, plan, dtype
        self._regions: dict[tuple[int, int], int] = {}
        self._memory: list[Bytes] = []
        group, queries = self._field("group"), self._field("n_queries")
        self._row_tasks = -(-group * queries // self._field("task_rows"))
        self._groups = self._field("n_matrices") // group

    def _field(self, name: str | int) -> int:
        return name if isinstance(name, int) else self._packed[FIELD_INDEX[name]]

    def cut(self, n_parts: int) -> CutCall:
        """Return the call in about `n_parts` parts, at most one a task."""
        parts = self._of_spans(n_parts) if self._field("split_spans") else self._of_rows(n_parts)
        return CutCall(tuple(parts), tuple(self._memory))

    def _of_rows(self, n_parts: int) -> list[Part]:
        """Return parts that have all keys: of several groups, or of some rows of one."""
        parts: list[Part] = []
        slices = min(self._groups, n_parts)
        row_parts = min(self._row_tasks, -(-n_parts // slices))
        for first, last in _bounds(self._groups, slices):
            request, inputs = self._sliced(first, last)
            n_tasks = (last - first) * self._row_tasks
            parts += [
                self._part(request, inputs, self._row_outputs(first, last, *tasks), (tasks,))
                for tasks in _bounds(n_tasks, row_parts)
            ]
        return parts

    def _row_outputs(self, first: int, last: int, begin: int, end: int) -> tuple[Output, ...]:
        """Return the results of tasks [begin, end) of the groups [first, last), as these count their tasks."""
        group_rows, task_rows = self._field("group") * self._field("n_queries"), self._field("task_rows")

        def row_at(task: int) -> int:
            group, rest = divmod(task, self._row_tasks)
            return group * group_rows + min(group_rows, rest * task_rows)

        own_first, own_end = row_at(begin), row_at(end)
        shapes = [(name, shape, dtype) for name, _, shape, dtype in self._plan.results]
        whole = (*self._plan.row_shape,)
        shapes += [("maximum", whole, self._dtype), ("unsafe", whole, np.dtype(np.uint8))]
        return tuple(
            Output(
                name,
                first * group_rows + own_first,
                own_end - own_first,
                shape[-1] if len(shape) > len(whole) else 1,
                dtype.str,
                own_first,
            )
            for name, shape, dtype in shapes
        )

    def _of_spans(self, n_parts: int) -> list[Part]:
        """Return parts that have all rows and the keys of some spans, and leave partial results."""
        all_rows, spans = self._field("n_matrices") * self._field("n_queries"), -(-self._field("n_keys") // self._span)
        parts: list[Part] = []
        for first, last in _bounds(spans, min(spans, n_parts)):
            request, inputs = self._sliced(0, self._groups, (first * self._span, last * self._span))
            widths = {"partial_state": STATE_NUMBERS, "partial_output": self._field("n_value_features")}
            outputs = tuple(
                Output(name, first * all_rows, (last - first) * all_rows, width, self._dtype.str, first * all_rows)
                for name, width in widths.items()
            )
            row_tasks = self._groups * self._row_tasks
            tasks = tuple((task * spans + first, task * spans + last) for task in range(row_tasks))
            parts.append(self._part(request, inputs, outputs, tasks))
        return parts

    @property
    def _span(self) -> int:
        return self._kernel.span

    def _part(
        self,
        request: "array[int]",
        inputs: tuple[Input, ...],
        outputs: tuple[Output, ...],
        tasks: tuple[tuple[int, int], ...],
    ) -> Part:
        share = sum(end - begin for begin, end in tasks) / self._field("n_tasks")
        return Part(
            (self._kernel.name, sources_digest()),
            self._dtype.char,
            request.tobytes(),
            inputs,
            outputs,
            tasks,
            int(self._plan.operations * share),
        )

    def _sliced(
        self, first: int, last: int, keys: tuple[int, int] | None = None
    ) -> tuple["array[int]", tuple[Input, ...]]:
        """Return the request for the matrices of some groups, and the memory that it reads.

        :param first: first group.
        :param last: group after the last.
        :param keys: keys that it reads, from a span's first on; None for all.
        """
        group = self._field("group")
        matrices = slice(first * group, last * group)
        request = self._packed[:]
        request[FIELD_INDEX["n_matrices"]] = matrices.stop - matrices.start
        for field in (*(index for _, index, *_ in self._plan.results), *ARRAYS_OF_ROWS):
            request[field] = 0
        inputs: dict[int, Input] = {}
        for name in PER_MATRIX:
            address = self._field(name)
            if address:
                begin = address + INTEGER_BYTES * matrices.start
                size = INTEGER_BYTES * (matrices.stop - matrices.start)
                inputs[FIELD_INDEX[name]] = Input(FIELD_INDEX[name], self._region(begin, size), 0)
        for name, axes in INPUTS.items():
            if self._field(name):
                for one in self._input(name, axes, matrices, keys if name in KEY_INPUTS else None, request):
                    inputs[one.field] = one
        for field in inputs:
            request[field] = 0
        return request, tuple(inputs.values())

    def _input(
        self, name: str, axes: Axes, matrices: slice, keys: tuple[int, int] | None, request: "array[int]"
    ) -> tuple[Input, Input]:
        """Return where some matrices find an input, and where they find its beginnings."""
        is_stored = name in KEY_INPUTS and self._field(f"{name}_storage") != CONSTANTS["computed"]
        size = 2 if is_stored else axes.size or self._dtype.itemsize
        address = self._field(name)
        at = _integers(self._field(axes.at), matrices)
        if keys is not None:
            return self._input_of_keys(name, at, keys, size, request)
        lengths, strides = ([self._field(one) for one in of] for of in (axes.lengths, axes.strides))
        ends = [(length - 1) * stride for length, stride in zip(lengths, strides, strict=True)] if all(lengths) else []
        low = int(at.min()) + sum(min(0, end) for end in ends)
        high = int(at.max()) + sum(max(0, end) for end in ends) + bool(ends)
        region = self._region(address + low * size, (high - low) * size)
        return (
            Input(FIELD_INDEX[name], region, 0),
            Input(FIELD_INDEX[axes.at], self._kept(at - low), 0),
        )

    def _input_of_keys(
        self, name: str, at: NDArray[np.int64], keys: tuple[int, int], size: int, request: "array[int]"
    ) -> tuple[Input, Input]:
        """Return where a range of keys is, side by side for all matrices; their indices stay as they are."""
        first, end = keys[0], min(keys[1], self._field("n_keys"))
        width, stride = (
            self._field("n_features" if name == "key" else "n_value_features"),
            self._field(f"{name}_stride"),
        )
        begins, index = np.unique(at, return_inverse=True)
        copied = np.empty((begins.size, end - first, width * size), np.uint8)
        for number, begin in enumerate(begins.tolist()):
            rows = (end - first - 1) * stride * size + width * size
            source = _memory(self._field(name) + (begin + first * stride) * size, rows)
            copied[number] = np.lib.stride_tricks.as_strided(source, copied.shape[1:], (stride * size, 1))
        request[FIELD_INDEX[f"{name}_stride"]] = width
        return (
            Input(FIELD_INDEX[name], self._kept(copied), -first * width * size),
            Input(FIELD_INDEX[f"{name}_at"], self._kept(index * (end - first) * width), 0),
        )

    def _region(self, address: int, size: int) -> int:
        """Return the number of a region of memory, which parts may share."""
        number = self._regions.get((address, size))
        if number is None:
            number = self._regions[address, size] = len(self._memory)
            self._memory.append(_memory(address, size))
        return number

    def _kept(self, numbers: NDArray[Any]) -> int:
        """Return the number of a region with a copy of some numbers."""
        self._memory.append(np.ascontiguousarray(numbers).reshape(-1).view(np.uint8))
        return len(self._memory) - 1


def _bounds(count: int, parts: int) -> list[tuple[int, int]]:
    """Return ranges of nearly equal length that divide [0, count)."""
    return list(pairwise(count * part // parts for part in range(parts + 1)))


def _memory(address: int, size: int) -> Bytes:
    """Return bytes of memory, which its owner keeps."""
    return np.frombuffer(memoryview((ctypes.c_uint8 * size).from_address(address)), np.uint8)


def _integers(address: int, items: slice) -> NDArray[np.int64]:
    begin, count = address + INTEGER_BYTES * items.start, items.stop - items.start
    return _memory(begin, INTEGER_BYTES * count).view(np.int64)
