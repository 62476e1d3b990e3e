"""Differentiate a formula in reverse: from the gradient of its value to those of its variables and parameters.

Steps of pairs are computed again and differentiated a block of pairs at a time; what reaches steps of queries or keys
alone is collected from all blocks, and goes on from there once.
"""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.formulas.evaluation import Evaluator, locate
from attention_core.formulas.graph import COLUMNS, PAIRS, ROWS, Step
from attention_core.formulas.operations import Value
from attention_core.formulas.parameters import Parameter
from attention_core.reductions import sum_to_shape

Pending = MutableMapping[int, FloatArray]
"""Gradients that have reached a step and have not gone on."""


@dataclass(frozen=True, slots=True)
class Gradients:
    """Gradients of a formula's inputs."""

    variables: dict[str, FloatArray] = field(default_factory=dict)
    """By name: q, k, score, in the shape that the formula computes with, with the leading axes of the scores."""
    parameters: dict[str, FloatArray] = field(default_factory=dict)
    """By name, each in the shape of the parameter."""


def differentiate(
    evaluator: Evaluator, values: Sequence[Value], variables: Mapping[str, Value], gradient: FloatArray
) -> Gradients:
    """Return the gradients of all inputs.

    :param evaluator: the formula with its parameters.
    :param values: the value of each step, but for those of pairs.
    :param variables: values of variables that differ from pair to pair, (…, q, k).
    :param gradient: gradient of the loss with respect to the formula's value, (…, q, k).
    """
    plan, steps, root = evaluator.plan, evaluator.graph.steps, evaluator.graph.root
    found = Gradients(parameters=zeros_of_parameters(evaluator, gradient.dtype))
    collected: Pending = {}
    if steps[root].level != PAIRS:
        collected[root] = reduce_to_step(gradient, steps[root], values[root])
    elif gradient.size:
        of_pairs = plan.level(PAIRS)
        numbers = plan.numbers_per_pair_backward
        for rows, columns, part, inputs in evaluator.blocks(values, variables, gradient.shape, numbers):
            evaluator.compute(of_pairs, part, inputs)
            pending: Pending = {root: gradient[..., rows, columns]}
            go_back(evaluator, reversed(of_pairs), part, pending, found.parameters)
            for index, reached in pending.items():
                _collect(collected, index, steps[index], reached, gradient.shape, rows, columns)
    others = [index for index, step in enumerate(steps) if step.level != PAIRS]
    go_back(evaluator, reversed(others), values, collected, found.parameters)
    found.variables.update({str(steps[index].value): reached for index, reached in collected.items()})
    return found


def zeros_of_parameters(evaluator: Evaluator, dtype: np.dtype[Any]) -> dict[str, FloatArray]:
    """Return zeros in the shape of each parameter, to which gradients are added.

    :param evaluator: the formula with its parameters.
    :param dtype: type of the gradients.
    """
    return {name: np.zeros(one.array.shape, dtype) for name, one in evaluator.parameters.items()}


def go_back(
    evaluator: Evaluator,
    indices: Iterable[int],
    values: Sequence[Value],
    pending: Pending,
    totals: Mapping[str, FloatArray],
) -> None:
    """Take gradients from steps to their operands, and add those of parameters; those of variables stay pending.

    :param evaluator: the formula with its parameters.
    :param indices: steps, in reverse order.
    :param values: their values, and those of their operands.
    :param pending: gradients that have reached a step; changed.
    :param totals: gradients of parameters; changed.
    """
    parameters = evaluator.parameters
    for index in indices:
        step = evaluator.graph.steps[index]
        if index not in pending or step.operation == "name":
            continue
        upstream = pending.pop(index)
        operands = [values[operand] for operand in step.operands]
        if step.operation == "parameter":
            one = parameters[str(step.value)]
            summed = sum_to_shape(upstream, np.shape(one.value))
            totals[str(step.value)][...] += summed.reshape(one.array.shape)
        elif step.operation == "index":
            _add_taken(totals[str(step.value)], parameters[str(step.value)], operands, upstream)
        elif step.has_gradient:
            parts = evaluator.differentiate_step(step, operands, values[index], upstream)
            for operand, part in zip(step.operands, parts, strict=True):
                below = evaluator.graph.steps[operand]
                if part is not None and below.has_gradient:
                    reduced = reduce_to_step(part, below, values[operand])
                    pending[operand] = reduced if operand not in pending else pending[operand] + reduced


def _collect(
    collected: Pending,
    index: int,
    step: Step,
    reached: FloatArray,
    shape: tuple[int, ...],
    rows: slice,
    columns: slice,
) -> None:
    """Add the gradient that a block of pairs gives to a step outside of it.

    :param collected: gradients of all blocks so far; changed.
    :param index: index of the step.
    :param step: the step, of queries alone, of keys alone, or shared by all pairs; or a variable of pairs.
    :param reached: its gradient from the block.
    :param shape: (…, q, k) of all blocks.
    :param rows: queries of the block.
    :param columns: keys of the block.
    """
    if step.level == 0:
        collected[index] = reached if index not in collected else collected[index] + reached
        return
    n_queries = shape[-2] if step.level & ROWS else 1
    n_keys = shape[-1] if step.level & COLUMNS else 1
    if index not in collected:
        collected[index] = np.zeros((*shape[:-2], n_queries, *step.type.axes, n_keys), reached.dtype)
    at: tuple[Any, ...] = (
        ...,
        rows if step.level & ROWS else slice(None),
        *(slice(None) for _ in step.type.axes),
        columns if step.level & COLUMNS else slice(None),
    )
    collected[index][at] += reached


def reduce_to_step(gradient: FloatArray, step: Step, value: Value) -> FloatArray:
    """Return a gradient summed over the queries, keys, batch rows and heads that share the step's value.

    A value of queries or keys keeps the leading axes of the scores, which the caller of the whole formula sums.
    """
    if step.level == 0:
        return sum_to_shape(gradient, np.shape(value))
    row_axis = -3 if step.type.axes else -2
    axes = [] if step.level & ROWS else [row_axis]
    if not step.level & COLUMNS:
        axes.append(-1)
    return gradient.sum(axis=tuple(axes), keepdims=True) if axes else gradient


def _add_taken(total: FloatArray, parameter: Parameter, indices: Sequence[Value], gradient: FloatArray) -> None:
    """Add the gradient of indexed entries to that of their parameter; an index outside has none."""
    where, inside = locate(parameter, indices)
    shape = np.broadcast_shapes(*(np.shape(one) for one in where), np.shape(inside))
    of_entries = sum_to_shape(np.asarray(gradient), shape)
    if inside is not True:
        of_entries = np.where(inside, of_entries, 0)
    flat = np.ravel_multi_index([np.broadcast_to(one, shape) for one in where], total.shape)
    total += np.bincount(flat.ravel(), of_entries.ravel(), total.size).reshape(total.shape)
