"""Explain a formula for one pair: each operation that is written, with its operands and its value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention_core.expressions import Expression, ScoreTerms
from attention_core.formulas.evaluation import Evaluator
from attention_core.formulas.graph import Graph, Step
from attention_core.formulas.operations import Value

TEMPLATES: Mapping[str, str] = {
    "+": "{} + {}",
    "-": "{} − {}",
    "*": "{} × {}",
    "/": "{} / {}",
    "//": "⌊{} / {}⌋",
    "%": "{} mod {}",
    "**": "{} ^ {}",
    "<": "{} < {}",
    "<=": "{} ≤ {}",
    ">": "{} > {}",
    ">=": "{} ≥ {}",
    "==": "{} = {}",
    "!=": "{} ≠ {}",
    "negate": "−{}",
    "abs": "|{}|",
    "sqrt": "√{}",
    "square": "({})²",
    "sum": "{* + }",
}
"""How an operation is written with numbers in the places of its operands; others as calls: ``tanh({})``."""


@dataclass(frozen=True, slots=True, eq=False)
class Explainer:
    """A formula as it is written, with the values of its steps for one pair."""

    graph: Graph
    values: Sequence[Value]

    def lines(self) -> tuple[Expression, ...]:
        """Return one line for each operation that yields a number or a truth value, in the order of computation."""
        numbers = (step for step in enumerate(self.graph.steps) if step[1].operands and not step[1].type.axes)
        return tuple(self._line(index, self._name(step)) for index, step in numbers)

    def terms(self, vectors_of_features: int) -> ScoreTerms:
        """Return the value as a sum of terms: one for each element of a sum at the root, else a single one.

        :param vectors_of_features: features of a query; elements of vectors of another size are called units.
        """
        index, factor = self.graph.root, 1.0
        while (inner := self._without_factor(index)) is not None:
            index, factor = inner[0], factor * inner[1]
        step = self.graph.steps[index]
        scale = None if index == self.graph.root else Expression("factor", factor, "{}", (factor,))
        elements = self._elements(step)
        if elements is None:
            return ScoreTerms((self._line(index, "score 0"),), scale)
        kind = "feature" if len(elements) == vectors_of_features else "unit"
        named = (Expression(f"{kind} {m}", *one) for m, one in enumerate(elements))
        return ScoreTerms(tuple(named), scale)

    def _without_factor(self, index: int) -> tuple[int, float] | None:
        """Return the step that a number multiplies or divides, and the factor; None for another step."""
        step = self.graph.steps[index]
        if step.operation == "negate":
            return step.operands[0], -1.0
        if step.operation not in ("*", "/"):
            return None
        left, right = step.operands
        shared = [self.graph.steps[one].level == 0 for one in step.operands]
        if shared[1] and not shared[0]:
            number = self._number(right)
            return left, number if step.operation == "*" else float(np.divide(1.0, number))
        if step.operation == "*" and shared[0] and not shared[1]:
            return right, self._number(left)
        return None

    def _elements(self, step: Step) -> list[tuple[float, str, tuple[float, ...]]] | None:
        """Return value, template and operands of each element of a sum; None for another step."""
        if step.operation in ("dot", "@"):
            left, right = (self._vector(operand) for operand in step.operands)
            return [(a * b, "{} × {}", (a, b)) for a, b in zip(left, right, strict=True)]
        if step.operation != "sum":
            return None
        summed = self.graph.steps[step.operands[0]]
        values = self._vector(step.operands[0])
        template = _template(summed)
        if template is None or not summed.operands:
            return [(value, "{}", (value,)) for value in values]
        size = len(values)
        operands = [self._vector(operand, size) for operand in summed.operands]
        return [(value, template, row) for value, row in zip(values, zip(*operands, strict=True), strict=True)]

    def _line(self, index: int, name: str) -> Expression:
        """Return a step with its operands."""
        step, value = self.graph.steps[index], self._number(index)
        operation = step.operation
        if operation in ("dot", "@", "cosine"):
            left, right = (self._vector(operand) for operand in step.operands)
            if operation == "cosine":
                lengths = [float(np.linalg.norm(vector)) for vector in (left, right)]
                return Expression(name, value, "{} / ({} × {})", (float(np.dot(left, right)), *lengths))
            return Expression(name, value, "{* + }", tuple(a * b for a, b in zip(left, right, strict=True)))
        if operation == "index":
            places = ", ".join("{}" for _ in step.operands)
            return Expression(name, value, f"{step.value}[{places}]", tuple(map(self._number, step.operands)))
        if not step.operands:
            return Expression(name, value, "{}", (value,))
        first = self.graph.steps[step.operands[0]]
        if first.type.axes:
            template = TEMPLATES.get(operation, f"{operation}({{*, }})")
            return Expression(name, value, template, tuple(self._vector(step.operands[0])))
        template = _template(step) or "{}"
        return Expression(name, value, template, tuple(map(self._number, step.operands)))

    def _name(self, step: Step) -> str:
        return self.graph.text[step.span.start : step.span.stop]

    def _number(self, index: int) -> float:
        return float(np.asarray(self.values[index]).reshape(-1)[0])

    def _vector(self, index: int, size: int = 1) -> list[float]:
        """Return the elements of a vector; a number as many times as `size` says."""
        if not self.graph.steps[index].type.axes:
            return [self._number(index)] * size
        found: list[float] = np.asarray(self.values[index], np.float64).reshape(-1).tolist()
        return found


def _template(step: Step) -> str | None:
    """Return the template of an elementwise operation; None for another."""
    operation = step.operation
    if operation in TEMPLATES:
        return TEMPLATES[operation]
    if operation in ("and", "or"):
        return f" {operation} ".join("{}" for _ in step.operands)
    if operation in ("@", "concat", "index", "slice", "parameter", "name", "number"):
        return None
    return f"{operation}({', '.join('{}' for _ in step.operands)})"


def explain_pair(graph: Graph, evaluator_of: Callable[[Graph], Evaluator], variables: Mapping[str, Any]) -> Explainer:
    """Return the values of all steps of a formula for one pair.

    :param graph: the formula as it is written.
    :param evaluator_of: returns what computes it, with the parameters of one head.
    :param variables: values of the variables: vectors, or numbers.
    """
    shaped = {
        name: np.asarray(value, np.float64).reshape(-1, 1)[None] if np.ndim(value) else np.full((1, 1), float(value))
        for name, value in variables.items()
    }
    values: list[Value] = [None] * len(graph.steps)
    with np.errstate(all="ignore"):
        evaluator_of(graph).compute(range(len(graph.steps)), values, shaped)
    return Explainer(graph, values)
