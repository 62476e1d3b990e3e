"""Compute the steps of a formula for all pairs of a tile."""

from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.formulas.graph import Graph, Step
from attention_core.formulas.operations import (
    REDUCTIONS,
    Value,
    apply_elementwise,
    concatenate,
    dot,
    lift,
    multiply_matrix,
)
from attention_core.formulas.parameters import Parameter

INTEGER_LIMIT = float(1 << 53)
"""Magnitude below which float64 holds every integer."""


def compute_steps(
    graph: Graph,
    indices: Iterable[int],
    values: MutableSequence[Value],
    variables: Mapping[str, Value],
    parameters: Mapping[str, Parameter],
    dtype: np.dtype[Any],
) -> None:
    """Fill in the values of some steps, of whose operands all others are known.

    :param graph: the formula.
    :param indices: the steps, in their order.
    :param values: one for each step of the graph.
    :param variables: values of variables, as `attention_core.formulas.operations` computes with them.
    :param parameters: bound parameters.
    :param dtype: compute type, of all that depends on a tensor.
    """
    for index in indices:
        step = graph.steps[index]
        operands = [values[operand] for operand in step.operands]
        if step.is_tensor and dtype != np.float64:
            operands = [_to_tensor(operand, dtype) for operand in operands]
        found = compute_step(graph, step, operands, variables, parameters)
        if step.level == 0:
            found = to_number(found)
        values[index] = _to_tensor(found, dtype) if step.is_tensor else found


def compute_step(
    graph: Graph,
    step: Step,
    operands: Sequence[Value],
    variables: Mapping[str, Value],
    parameters: Mapping[str, Parameter],
) -> Value:
    """Return the value of one step.

    :param graph: the formula.
    :param step: one of its steps.
    :param operands: values of its operands.
    :param variables: values of variables.
    :param parameters: bound parameters.
    """
    operation = step.operation
    if operation == "number":
        return step.value
    if operation == "name":
        return variables[str(step.value)]
    if operation == "parameter":
        return parameters[str(step.value)].value
    if operation == "index":
        return take(parameters[str(step.value)], operands)
    types = [graph.steps[operand].type for operand in step.operands]
    if operation == "@":
        return _multiply(operands, [len(one.axes) for one in types])
    if operation == "dot":
        return dot(*operands)
    if operation == "cosine":
        return dot(*(REDUCTIONS["unit"](operand) for operand in operands))
    if operation == "concat":
        return concatenate(operands)
    if operation in REDUCTIONS:
        return REDUCTIONS[operation](operands[0])
    if step.type.axes:
        operands = [value if one.axes else lift(value) for value, one in zip(operands, types, strict=True)]
    return apply_elementwise(operation, operands)


def _multiply(operands: Sequence[Value], ranks: Sequence[int]) -> Value:
    """Return the product of matrix and vector, vector and matrix, or two vectors."""
    left, right = operands
    if ranks[0] == 2:
        return multiply_matrix(left, right)
    return multiply_matrix(right.swapaxes(-1, -2), left) if ranks[1] == 2 else dot(left, right)


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


def broadcast_result(value: Value, shape: tuple[int, ...], dtype: np.dtype[Any]) -> FloatArray:
    """Return a number for each pair in a new array or a view, (…, q, k)."""
    return np.broadcast_to(np.asarray(value, dtype=dtype), np.broadcast_shapes(np.shape(value), shape))
