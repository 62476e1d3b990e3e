"""Bind a formula to its parameters and sizes."""

from collections.abc import Mapping

import numpy as np

from attention_core.errors import ArgumentPath, InvalidValue
from attention_core.formulas.bound import BoundFormula
from attention_core.formulas.building import build_graph
from attention_core.formulas.context import FormulaContext
from attention_core.formulas.names import unknown_variable
from attention_core.formulas.nodes import describe
from attention_core.formulas.operations import Value
from attention_core.formulas.parameters import ParameterValue, PerHead, bind_parameters
from attention_core.formulas.parsing import Formula, iterate_names
from attention_core.formulas.plan import Plan


def bind_formula(
    formula: Formula,
    parameters: Mapping[str, ParameterValue | PerHead],
    context: FormulaContext,
    path: ArgumentPath,
    parameters_path: ArgumentPath,
) -> "BoundFormula":
    """Return a formula with its parameters, after inferring the type of each of its parts.

    :param formula: what `parse_formula` returned.
    :param parameters: one for each of `formula.free_names`: a number, a vector or a matrix, or `PerHead` of these.
    :param context: sizes and compute type.
    :param path: the argument that holds the formula, for errors.
    :param parameters_path: the argument that holds the parameters, for errors.

    Raises InvalidValue, ShapeMismatch or UnknownName: with `path`, the column and the piece of text for what the
    formula says, with the path of the parameter for a parameter that is wrong.
    """
    bound = bind_parameters(formula, parameters, context.n_heads, context.dtype, parameters_path)
    for name in formula.free_names:
        if name not in bound:
            node = next(node for node in iterate_names(formula.root) if node.value == name)
            error = unknown_variable(formula.text, node.span, name, formula.kind, bound)
            error.path = path
            raise error
    graph = build_graph(formula, {name: one.axes for name, one in bound.items()}, context.sizes, path)
    variables = _leading_variables(context.score_shape or ())
    made = BoundFormula(formula, graph, bound, context, variables, Plan(graph))
    _check_indices(made, path)
    return made


def _leading_variables(score_shape: tuple[int, ...]) -> dict[str, Value]:
    """Return batch row and query head, b and h, shaped to broadcast against the scores."""
    rank = len(score_shape)
    batch = np.arange(score_shape[0], dtype=np.float64).reshape(-1, *(1,) * (rank - 1)) if rank > 2 else 0.0
    head = np.arange(score_shape[1], dtype=np.float64)[:, None, None] if rank == 4 else 0.0
    return {"b": batch, "h": head}


def _check_indices(formula: BoundFormula, path: ArgumentPath) -> None:
    """Raise InvalidValue for an index that is known to be outside of its parameter."""
    context = formula.context
    shape = context.score_shape or ()
    lengths = {"i": shape[-2], "j": shape[-1]} if shape else {}
    if len(shape) > 2:
        lengths["b"] = shape[0]
    if len(shape) == 4:
        lengths["h"] = shape[1]
    for step in formula.graph.steps:
        if step.operation != "index":
            continue
        parameter = formula.parameters[str(step.value)]
        received = ""
        outside = formula.index_outside(step) if step.level == 0 else None
        if outside is not None:
            received = f"the index {outside:g}"
        for operand, size in zip(step.operands, parameter.axes, strict=True):
            index = formula.graph.steps[operand]
            if index.operation == "name" and lengths.get(str(index.value), 0) > size:
                received = f"{index.value} up to {lengths[str(index.value)] - 1}"
        if received:
            ranges = " and ".join(f"from 0 to {size - 1}" for size in parameter.axes)
            raise InvalidValue(
                path,
                expected=f"indices {ranges} of {step.value}",
                received=f"{received} in {describe(formula.formula.text, step.span)}",
                advice="Send an entry for each index, or bound the index: minimum(…), maximum(…), %.",
            )
