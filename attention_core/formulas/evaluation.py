"""Compute the steps of a formula for all pairs of a tile."""

from collections.abc import Iterable, Iterator, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.formulas.derivatives import differentiate_step
from attention_core.formulas.graph import PAIRS, Graph, Step
from attention_core.formulas.operations import (
    IN_PLACE,
    REDUCTIONS,
    Value,
    apply_elementwise,
    concatenate,
    dot,
    lift,
    multiply_matrix,
    unit,
)
from attention_core.formulas.parameters import Parameter
from attention_core.formulas.plan import MAX_KEYS_PER_BLOCK, PAIR_BLOCK_NUMBERS, Plan


@dataclass(frozen=True, slots=True, eq=False)
class Evaluator:
    """Computes steps of a formula with its parameters."""

    plan: Plan
    parameters: Mapping[str, Parameter]
    dtype: np.dtype[Any]
    """Compute type, of all that depends on a tensor."""

    @property
    def graph(self) -> Graph:
        """The formula."""
        return self.plan.graph

    def compute(self, indices: Iterable[int], values: MutableSequence[Value], variables: Mapping[str, Value]) -> None:
        """Fill in the values of some steps, of whose operands all others are known.

        :param indices: the steps, in their order.
        :param values: one for each step of the formula.
        :param variables: values of variables, as `attention_core.formulas.operations` computes with them.
        """
        for index in indices:
            step = self.graph.steps[index]
            found = self._compute_step(step, self._operands(step, values), variables)
            if step.level == 0:
                found = to_number(found)
            values[index] = _to_tensor(found, self.dtype) if step.is_tensor else found

    def compute_pairs(
        self, values: MutableSequence[Value], variables: Mapping[str, Value], out: FloatArray | None
    ) -> Value:
        """Return the value of the whole, of which all steps but those of pairs are known.

        Values that nothing needs any more are dropped or overwritten.

        :param values: one for each step of the formula; changed.
        :param variables: values of variables that differ from pair to pair.
        :param out: array of the whole's shape that may be filled, the compute type; None for a new one.
        """
        plan, steps = self.plan, self.graph.steps
        for index in plan.level(PAIRS):
            step = steps[index]
            operands = self._operands(step, values)
            reused = plan.overwrites.get(index)
            target = values[reused] if reused is not None else (out if index == plan.first_of_chain else None)
            found = self._compute_into(step, operands, target) if target is not None else None
            if found is None:
                found = self._compute_step(step, operands, variables)
            for dropped in plan.last_uses.get(index, ()):
                values[dropped] = None
            values[index] = _to_tensor(found, self.dtype) if step.is_tensor else found
        return values[self.graph.root]

    def differentiate_step(
        self, step: Step, operands: Sequence[Value], value: Value, gradient: FloatArray
    ) -> list[FloatArray | None]:
        """Return the gradient of each operand of a step, as `derivatives.differentiate_step`."""
        return differentiate_step(self.graph, step, operands, value, gradient)

    def blocks(
        self, values: Sequence[Value], variables: Mapping[str, Value], shape: tuple[int, ...], numbers_per_pair: int
    ) -> Iterator[tuple[slice, slice, list[Value], dict[str, Value]]]:
        """Yield rows, columns, values of the steps and variables for each block of pairs.

        :param values: those of all steps but the ones of pairs.
        :param variables: values of variables that differ from pair to pair, (…, q, k).
        :param shape: (…, q, k).
        :param numbers_per_pair: numbers that are held at once for each pair.
        """
        n_queries, n_keys = shape[-2:]
        n_pairs = max(1, PAIR_BLOCK_NUMBERS // max(1, prod(shape[:-2]) * numbers_per_pair))
        width = max(1, min(n_keys, n_pairs, MAX_KEYS_PER_BLOCK))
        height = max(1, min(n_queries, n_pairs // width))
        for row, column in product(range(0, n_queries, height), range(0, n_keys, width)):
            rows, columns = slice(row, min(row + height, n_queries)), slice(column, min(column + width, n_keys))
            part = list(values)
            for index in self.plan.row_outputs:
                part[index] = slice_rows(part[index], self.graph.steps[index], rows)
            for index in self.plan.column_outputs:
                part[index] = part[index][..., columns]
            yield rows, columns, part, {name: one[..., rows, columns] for name, one in variables.items()}

    def _operands(self, step: Step, values: Sequence[Value]) -> list[Value]:
        operands = [values[operand] for operand in step.operands]
        if step.is_tensor and self.dtype != np.float64:
            return [_to_tensor(operand, self.dtype) for operand in operands]
        return operands

    def _compute_into(self, step: Step, operands: Sequence[Value], target: FloatArray) -> FloatArray | None:
        """Return the value of a step in an array; None if the step cannot be computed there."""
        if step.operation == "dot":
            return dot(operands[0], operands[1], out=target)
        function = IN_PLACE.get(step.operation)
        if function is None:
            return None
        operands = self._lifted(step, operands)
        shape = np.broadcast_shapes(*(np.shape(operand) for operand in operands))
        if shape != target.shape or not isinstance(target, np.ndarray):
            return None
        function(*operands, out=target)
        return target

    def _lifted(self, step: Step, operands: Sequence[Value]) -> Sequence[Value]:
        """Return the operands of an elementwise step, numbers shaped to broadcast over vectors if it yields one."""
        if not step.type.axes:
            return operands
        steps = self.graph.steps
        return [
            value if steps[operand].type.axes else lift(value)
            for value, operand in zip(operands, step.operands, strict=True)
        ]

    def _compute_step(self, step: Step, operands: Sequence[Value], variables: Mapping[str, Value]) -> Value:
        """Return the value of one step in a new array, or a view of an old one."""
        operation = step.operation
        if not step.operands:
            return self._compute_leaf(step, variables)
        if operation in REDUCTIONS:
            return REDUCTIONS[operation](operands[0])
        match operation:
            case "index":
                return take(self.parameters[str(step.value)], operands)
            case "slice":
                return self._slice(step, operands[0])
            case "@":
                return self._multiply(step, *operands)
            case "dot":
                return dot(*operands)
            case "cosine":
                return dot(*map(unit, operands))
            case "concat":
                return concatenate(operands)
        return apply_elementwise(operation, self._lifted(step, operands))

    def _compute_leaf(self, step: Step, variables: Mapping[str, Value]) -> Value:
        if step.operation == "number":
            return step.value
        name = str(step.value)
        return variables[name] if step.operation == "name" else self.parameters[name].value

    def _slice(self, step: Step, operand: FloatArray) -> FloatArray:
        """Return some elements of vectors, or some columns of a matrix; a view, but of pairs, which are overwritten."""
        start, stop = step.value if isinstance(step.value, tuple) else (0, None)
        part = operand[..., start:stop] if len(step.type.axes) == 2 else operand[..., start:stop, :]
        return part.copy() if step.level == PAIRS else part

    def _multiply(self, step: Step, left: FloatArray, right: FloatArray) -> FloatArray:
        """Return the product of matrix and vector, of vector and matrix, or of two vectors."""
        ranks = [len(self.graph.steps[operand].type.axes) for operand in step.operands]
        if ranks == [1, 1]:
            return dot(left, right)
        if ranks[0] == 2:
            return multiply_matrix(left, right)
        return multiply_matrix(right.swapaxes(-1, -2), left)


def slice_rows(value: Value, step: Step, rows: slice) -> Value:
    """Return some queries of a step's value."""
    return value[..., rows, :, :] if step.type.axes else value[..., rows, :]


def take(parameter: Parameter, indices: Sequence[Value]) -> Value:
    """Return entries of a vector or matrix, NaN for an index that is outside or no integer.

    :param parameter: the parameter.
    :param indices: one for each of its axes, numbers that broadcast to (…, q, k).
    """
    where, inside = locate(parameter, indices)
    taken = parameter.array[where]
    return taken if inside is True else np.where(inside, taken, np.asarray(np.nan, taken.dtype))


def locate(parameter: Parameter, indices: Sequence[Value]) -> tuple[tuple[Any, ...], Any]:
    """Return the index of entries in the parameter's array, 0 for those outside, and which are inside: True for all.

    :param parameter: the parameter.
    :param indices: one for each of its axes, numbers that broadcast to (…, q, k).
    """
    inside: Any = True
    where: list[Any] = []
    for index, size in zip(indices, parameter.axes, strict=True):
        numbers = np.asarray(index, dtype=np.float64)
        fits = (numbers >= 0) & (numbers < size) & (numbers == np.floor(numbers))
        if not fits.all():
            numbers = np.where(fits, numbers, 0)
            inside = fits & inside
        where.append(numbers.astype(np.intp))
    if parameter.per_head:
        where.insert(0, np.arange(len(parameter.array))[:, None, None])
    return tuple(where), inside


def to_number(value: Value) -> Value:
    """Return a number or truth value that all pairs and heads share as one of Python, which takes any type it meets."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.size == 1 and value.ndim < 2):
        return value.item()
    return value


def _to_tensor(value: Value, dtype: np.dtype[Any]) -> Value:
    """Return an array of another floating type in the compute type."""
    if isinstance(value, np.ndarray) and value.dtype != dtype and value.dtype.kind == "f":
        return value.astype(dtype)
    return value
