"""Explain a formula for one pair: each operation that is written, with its operands and its value."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention_core.expressions import Expression, ScoreTerms
from attention_core.formulas.building import CONSTANTS
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
    "not": "not {}",
    "negate": "−{}",
    "abs": "|{}|",
    "sqrt": "√{}",
    "square": "({})²",
    "sum": "{* + }",
}
"""How an operation is written with numbers in the places of its operands; others as calls: ``tanh({})``."""

OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "@", "negate")
"""Operations that are written with an operator, and need brackets beside another."""


@dataclass(frozen=True, slots=True, eq=False)
class Explainer:
    """A formula as it is written, with the values of its steps for one pair."""

    graph: Graph
    values: Sequence[Value]

    def lines(self) -> tuple[Expression, ...]:
        """Return one line for each operation that yields a number or a truth value, in the order of computation.

        The whole has one whatever it is made of, a part only if it is made of more than constants.
        """
        return self._lines(())

    def lines_before_terms(self) -> tuple[Expression, ...]:
        """Return the lines without those that the terms and their factor show."""
        return self._lines(self._factored()[0])

    def _lines(self, left_out: Collection[int]) -> tuple[Expression, ...]:
        constant = self._constants()
        return tuple(
            self._line(index, self._name(step))
            for index, step in enumerate(self.graph.steps)
            if step.operands and not step.type.axes and index not in left_out
            if index == self.graph.root or index not in constant
        )

    def _constants(self) -> set[int]:
        """Return the indices of the steps that hold no name but those of constants."""
        found: set[int] = set()
        for index, step in enumerate(self.graph.steps):
            if step.operands:
                is_constant = step.operation != "index" and found.issuperset(step.operands)
            else:
                is_constant = isinstance(step.value, bool) or _is_constant(self._name(step))
            if is_constant:
                found.add(index)
        return found

    def terms(self, vectors_of_features: int) -> ScoreTerms:
        """Return the value as a sum of terms: one for each element of a sum at the root, else a single one.

        :param vectors_of_features: features of a query; elements of vectors of another size are called units.
        """
        (*_, index), scale = self._factored()
        step = self.graph.steps[index]
        elements = self._elements(step)
        if elements is None:
            return ScoreTerms((self._line(index, "score 0"),), scale)
        kind = "feature" if len(elements) == vectors_of_features else "unit"
        named = (Expression(f"{kind} {m}", *one) for m, one in enumerate(elements))
        return ScoreTerms(tuple(named), scale)

    def _factored(self) -> tuple[list[int], Expression | None]:
        """Return the steps from the whole to what numbers multiply or divide, and their product; None without any."""
        chain, factor, is_negative = [self.graph.root], 1.0, False
        factors: dict[str, list[int]] = {"*": [], "/": []}
        while (inner := self._without_factor(chain[-1])) is not None:
            index, operation, other = inner
            chain.append(index)
            if other is None:
                is_negative, factor = not is_negative, -factor
            else:
                factors[operation].append(other)
                number = self._number(other)
                factor *= number if operation == "*" else float(np.divide(1.0, number))
        if len(chain) == 1:
            return chain, None
        above, below = factors["*"], factors["/"]
        sign = "-" if is_negative else ""
        template = " / ".join([" × ".join("{}" for _ in above) or "1", *("{}" for _ in below)])
        source = " / ".join([" * ".join(map(self._enclosed_name, above)) or "1", *map(self._enclosed_name, below)])
        operands = tuple(map(self._number, (*above, *below)))
        written = f"{sign}{source}" if operands else ""
        return chain, Expression("factor", factor, f"{'−' if is_negative else ''}{template}", operands, written)

    def _without_factor(self, index: int) -> tuple[int, str, int | None] | None:
        """Return the step that a number multiplies or divides, how, and the number's; None for another step.

        The number's step is None for a minus sign.
        """
        step = self.graph.steps[index]
        if step.operation == "negate":
            return step.operands[0], "negate", None
        if step.operation not in ("*", "/"):
            return None
        left, right = step.operands
        shared = [self.graph.steps[one].level == 0 for one in step.operands]
        if shared[1] and not shared[0]:
            return left, step.operation, right
        if step.operation == "*" and shared[0] and not shared[1]:
            return right, "*", left
        return None

    def _enclosed_name(self, index: int) -> str:
        """Return the text of a step so that an operator may stand beside it."""
        step = self.graph.steps[index]
        return f"({self._name(step)})" if step.operation in OPERATORS else self._name(step)

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
        number = np.asarray(self.values[index]).reshape(-1)[0]
        return bool(number) if self.graph.steps[index].type.is_truth else float(number)

    def _vector(self, index: int, size: int = 1) -> list[float]:
        """Return the elements of a vector; a number as many times as `size` says."""
        if not self.graph.steps[index].type.axes:
            return [self._number(index)] * size
        dtype = np.bool_ if self.graph.steps[index].type.is_truth else np.float64
        found: list[float] = np.asarray(self.values[index], dtype).reshape(-1).tolist()
        return found


def _is_constant(text: str) -> bool:
    """Return whether a piece of text is a number, or the name of a constant."""
    return text in CONSTANTS or text[:1].isdigit() or text.startswith(".")


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
