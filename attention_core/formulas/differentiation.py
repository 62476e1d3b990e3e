"""Differentiate a formula in reverse: from the gradient of its value to those of its variables and parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.formulas.derivatives import differentiate_step
from attention_core.formulas.evaluation import locate
from attention_core.formulas.graph import COLUMNS, ROWS, Graph, Step
from attention_core.formulas.operations import Value
from attention_core.formulas.parameters import Parameter
from attention_core.reductions import sum_to_shape


@dataclass(slots=True)
class Gradients:
    """Gradients of a formula's inputs."""

    variables: dict[str, FloatArray] = field(default_factory=dict)
    """By name: q, k, score, in the shape that the formula computes with, with the leading axes of the scores."""
    parameters: dict[str, FloatArray] = field(default_factory=dict)
    """By name, each in the shape of the parameter."""


def differentiate(
    graph: Graph, values: Sequence[Value], parameters: Mapping[str, Parameter], gradient: FloatArray
) -> Gradients:
    """Return the gradients of all inputs.

    :param graph: the formula.
    :param values: the value of each step.
    :param parameters: bound parameters.
    :param gradient: gradient of the loss with respect to the formula's value, (…, q, k).
    """
    found = Gradients(parameters={name: np.zeros(one.array.shape, gradient.dtype) for name, one in parameters.items()})
    pending: dict[int, FloatArray] = {graph.root: _reduce(gradient, graph.steps[graph.root], values[graph.root])}
    for index in range(graph.root, -1, -1):
        step, upstream = graph.steps[index], pending.pop(index, None)
        if upstream is None or not step.has_gradient:
            continue
        if step.operation == "name":
            found.variables[str(step.value)] = upstream
        elif step.operation == "parameter":
            one = parameters[str(step.value)]
            found.parameters[str(step.value)] += one.reduce_gradient(sum_to_shape(upstream, np.shape(one.value)))
        elif step.operation == "index":
            _add_taken(found.parameters, parameters, step, [values[operand] for operand in step.operands], upstream)
        else:
            operands = [values[operand] for operand in step.operands]
            parts = differentiate_step(graph, step, operands, values[index], upstream)
            for operand, part in zip(step.operands, parts, strict=True):
                below = graph.steps[operand]
                if part is not None and below.has_gradient:
                    reduced = _reduce(part, below, values[operand])
                    pending[operand] = reduced if operand not in pending else pending[operand] + reduced
    return found


def _reduce(gradient: FloatArray, step: Step, value: Value) -> FloatArray:
    """Return a gradient summed over the queries, keys, batch rows and heads that share the step's value.

    A value of queries or keys keeps the leading axes of the scores, which the caller of the whole formula sums.
    """
    if step.level == 0:
        return sum_to_shape(gradient, np.shape(value))
    row_axis = -3 if step.type.axes else -2
    axes = [row_axis] if not step.level & ROWS and gradient.ndim >= -row_axis else []
    if not step.level & COLUMNS:
        axes.append(-1)
    return gradient.sum(axis=tuple(axes), keepdims=True) if axes else gradient


def _add_taken(
    totals: Mapping[str, FloatArray],
    parameters: Mapping[str, Parameter],
    step: Step,
    indices: Sequence[Value],
    gradient: FloatArray,
) -> None:
    """Add the gradient of indexed entries to that of their parameter; an index outside has none."""
    name = str(step.value)
    where, inside = locate(parameters[name], indices)
    shape = np.broadcast_shapes(*(np.shape(one) for one in where))
    of_entries = gradient if inside is True else np.where(inside, gradient, 0)
    np.add.at(totals[name], where, sum_to_shape(np.asarray(of_entries), shape))
