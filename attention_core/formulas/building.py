"""Infer the types of a formula, and build its graph of steps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import e, inf, pi

from attention_core.errors import ArgumentPath, CallError, ShapeMismatch
from attention_core.formulas.graph import COLUMNS, NUMBER, PAIRS, ROWS, TRUTH, Graph, Step, ValueType
from attention_core.formulas.language import LANGUAGE, variables_of
from attention_core.formulas.names import unknown_variable
from attention_core.formulas.nodes import Node, Span, describe, refuse
from attention_core.formulas.operations import compute_constant
from attention_core.formulas.parsing import Formula
from attention_core.formulas.rewriting import rewrite
from attention_core.formulas.type_errors import (
    RESULTS,
    refuse_index_count,
    refuse_indexed,
    refuse_matrix,
    refuse_number,
    refuse_operand,
    refuse_product,
    refuse_result,
    refuse_truth,
    refuse_vector_index,
)

CONSTANTS: Mapping[str, float] = {"pi": pi, "e": e, "inf": inf}

LEVELS: Mapping[str, int] = {
    "q": ROWS,
    "k": COLUMNS,
    "score": PAIRS,
    "i": ROWS,
    "p": ROWS,
    "j": COLUMNS,
    "b": 0,
    "h": 0,
}
"""Level of each variable."""

TENSORS = frozenset({"q", "k", "score"})
"""Variables that are inputs of the call, in its compute type."""

STEPPED = frozenset({"//", "sign", "floor"})
"""Functions of slope 0, besides all that yield truth values."""


def build_graph(
    formula: Formula,
    parameters: Mapping[str, tuple[int, ...]],
    sizes: Mapping[str, int | None],
    path: ArgumentPath,
    *,
    rewrites: bool = True,
) -> Graph:
    """Return the typed graph of a formula.

    :param formula: what `parse_formula` returned.
    :param parameters: axes of each parameter by name, without a head axis.
    :param sizes: values of the sizes that the formula may use, Dq and Dk or Lq and Lk.
    :param path: the argument that holds the formula, for errors.
    :param rewrites: whether steps are rewritten to cheaper ones by `rewriting`; default yes, else the graph has the
        steps of the text.

    Raises InvalidValue, ShapeMismatch or UnknownName with the column and the piece of text.
    """
    builder = _Builder(formula, parameters, sizes, rewrites=rewrites)
    try:
        root = builder.build(formula.root)
        found = builder.steps[root].type
        if found != RESULTS[formula.kind][0]:
            raise refuse_result(
                formula.text,
                formula.root,
                formula.kind,
                found.words,
                is_vector=bool(found.axes),
                is_truth=found.is_truth,
            )
    except CallError as error:
        error.path = path
        raise
    return Graph(formula.text, builder.reachable(root))


class _Builder:
    """Adds steps, each once."""

    def __init__(
        self,
        formula: Formula,
        parameters: Mapping[str, tuple[int, ...]],
        sizes: Mapping[str, int | None],
        *,
        rewrites: bool,
    ) -> None:
        self._text = formula.text
        self._kind = formula.kind
        self._parameters = parameters
        self._sizes = sizes
        self._rewrites = rewrites
        self.steps: list[Step] = []
        self._known: dict[tuple[str, tuple[int, ...], str], int] = {}

    def build(self, node: Node) -> int:
        """Return the index of a node's step."""
        if node.operation == "number":
            return self.add_number(node.value, node.span)
        if node.operation == "name":
            return self._build_name(str(node.value), node.span)
        if node.operation == "index":
            return self._build_index(node)
        operands = [self.build(operand) for operand in node.operands]
        return self.combine(node.operation, operands, node.span)

    def combine(self, operation: str, operands: Sequence[int], span: Span) -> int:
        """Return the index of a step for an operation of the language, after checking the types of its operands."""
        types = [self.steps[operand].type for operand in operands]
        result = self._infer(operation, operands, types, span)
        return self.add(operation, operands, result, span)

    def add(
        self,
        operation: str,
        operands: Sequence[int],
        result: ValueType,
        span: Span,
        value: float | str | tuple[int, int] = 0.0,
    ) -> int:
        """Return the index of a step, rewritten if it can be; an operation on constants is one constant.

        :param operation: an operation of the language, or "unit", "direction" or "slice".
        :param operands: indices of its operands, of types that fit.
        :param result: its type.
        :param span: piece of the formula's text.
        :param value: the range of a slice.
        """
        below = [self.steps[operand] for operand in operands]
        if not self._rewrites:
            return self.add_plain(operation, operands, result, span, value)
        if below and all(step.operation == "number" for step in below) and not result.axes:
            return self.add_number(compute_constant(operation, [step.value for step in below]), span)
        rewritten = rewrite(self, operation, operands, span)
        return self.add_plain(operation, operands, result, span, value) if rewritten is None else rewritten

    def add_plain(
        self,
        operation: str,
        operands: Sequence[int],
        result: ValueType,
        span: Span,
        value: float | str | tuple[int, int] = 0.0,
    ) -> int:
        """Return the index of a step as it is, an earlier one if it is the same; parameters as those of `add`."""
        below = [self.steps[operand] for operand in operands]
        smooth = operation not in STEPPED and not result.is_truth
        return self._append(
            Step(
                operation,
                tuple(operands),
                result,
                level=max_level(step.level for step in below),
                is_tensor=any(step.is_tensor for step in below),
                has_gradient=smooth and any(step.has_gradient for step in below),
                value=value,
                span=span,
            )
        )

    def add_number(self, value: float | str, span: Span) -> int:
        """Return the index of a constant."""
        result = TRUTH if isinstance(value, bool) else NUMBER
        return self._append(Step("number", (), result, 0, is_tensor=False, has_gradient=False, value=value, span=span))

    def _append(self, step: Step) -> int:
        key = (step.operation, step.operands, repr(step.value))
        if key not in self._known:
            self._known[key] = len(self.steps)
            self.steps.append(step)
        return self._known[key]

    def reachable(self, root: int) -> list[Step]:
        """Return the steps that the root needs, in order, with their indices made anew."""
        needed = {root}
        for index in range(root, -1, -1):
            if index in needed:
                needed.update(self.steps[index].operands)
        order = sorted(needed)
        renamed = {old: new for new, old in enumerate(order)}
        return [_renumber(self.steps[old], renamed) for old in order]

    def _build_name(self, name: str, span: Span) -> int:
        if name in CONSTANTS:
            return self.add_number(CONSTANTS[name], span)
        if name in self._parameters:
            axes = self._parameters[name]
            step = Step(
                "parameter",
                (),
                ValueType(axes),
                0,
                self._kind == "score_model",
                has_gradient=True,
                value=name,
                span=span,
            )
            return self._append(step)
        if name not in variables_of(self._kind):
            raise unknown_variable(self._text, span, name, self._kind, self._parameters)
        if LANGUAGE[name].group == "size":
            return self._build_size(name, span)
        is_tensor = name in TENSORS
        features = self._sizes.get({"q": "Dq", "k": "Dk"}.get(name, ""))
        axes = () if features is None else (features,)
        step = Step("name", (), ValueType(axes), LEVELS[name], is_tensor, has_gradient=is_tensor, value=name, span=span)
        return self._append(step)

    def _build_size(self, name: str, span: Span) -> int:
        query, key = self._sizes.get("Dq"), self._sizes.get("Dk")
        if name == "D":
            if query != key:
                raise refuse(
                    self._text,
                    span,
                    (),
                    expected="queries and keys of equal features",
                    received=f"Dq = {query} and Dk = {key}, and",
                    advice="Write Dq or Dk.",
                )
            name = "Dq"
        size = self._sizes.get(name)
        if size is None:
            raise refuse(self._text, span, (), expected="a size that is known", advice="Leave it out.")
        return self.add_number(float(size), span)

    def _build_index(self, node: Node) -> int:
        base, *indices = node.operands
        name = str(base.value)
        if name not in self._parameters:
            if name in LANGUAGE:
                raise refuse_indexed(self._text, base.span, name)
            raise unknown_variable(self._text, base.span, name, self._kind, self._parameters)
        axes = self._parameters[name]
        if len(axes) != len(indices):
            raise refuse_index_count(self._text, node.span, len(axes), len(indices), ValueType(axes).words)
        built = [self.build(index) for index in indices]
        for index, child in zip(built, indices, strict=True):
            self._require_number(index, child.span, "index")
            if self.steps[index].type.axes:
                raise refuse_vector_index(self._text, child.span, self.steps[index].type.words)
        below = [self.steps[index] for index in built]
        return self._append(
            Step(
                "index",
                tuple(built),
                NUMBER,
                max_level(step.level for step in below),
                self._kind == "score_model" or any(step.is_tensor for step in below),
                has_gradient=True,
                value=name,
                span=node.span,
            )
        )

    def _infer(self, operation: str, operands: Sequence[int], types: Sequence[ValueType], span: Span) -> ValueType:
        """Return the type of an operation; raise InvalidValue or ShapeMismatch if the operands do not fit it."""
        group = "arithmetic" if operation == "negate" else LANGUAGE[operation].group
        if group == "logic":
            for operand in operands:
                self._require_truth(operand, operation)
            return ValueType(self._broadcast(operands, span), is_truth=True)
        if operation == "where":
            self._require_truth(operands[0], operation)
            for operand in operands[1:]:
                self._require_number(operand, self.steps[operand].span, operation)
            return ValueType(self._broadcast(operands, span))
        for operand in operands:
            self._require_number(operand, self.steps[operand].span, operation)
        if operation == "@":
            return self._infer_product(operands, types, span)
        if group in ("reduction", "shape"):
            return self._infer_of_vectors(operation, operands, types, span)
        return ValueType(self._broadcast(operands, span), is_truth=group == "comparison")

    def _infer_of_vectors(
        self, operation: str, operands: Sequence[int], types: Sequence[ValueType], span: Span
    ) -> ValueType:
        for operand, one in zip(operands, types, strict=True):
            if len(one.axes) != 1:
                raise refuse_operand(self._text, self.steps[operand].span, one.words, operation, len(types), self._kind)
        if operation == "concat":
            return ValueType((sum(one.axes[0] for one in types),))
        self._broadcast(operands, span)
        return NUMBER

    def _infer_product(self, operands: Sequence[int], types: Sequence[ValueType], span: Span) -> ValueType:
        left, right = (one.axes for one in types)
        if (len(left), len(right)) not in ((1, 1), (1, 2), (2, 1)):
            raise refuse_product(self._text, span, types[0].words, types[1].words)
        if left[-1] != right[0]:
            first, second = (self.steps[operand] for operand in operands)
            expected = f"{left[-1]} entries on the right of @, as many as on its left"
            if first.operation == "parameter" and second.level:
                # The other size is that of query and key, so that the parameter is the one to change.
                what = "entries" if len(left) == 1 else "columns"
                expected = f"{right[0]} {what} of {first.value}, as many entries as on the right of @"
            raise ShapeMismatch(
                (),
                expected=expected,
                received=f"{types[0].words} @ {types[1].words}: {describe(self._text, span)}",
                advice="A matrix before @ has as many columns as the vector has entries; one behind has as many rows.",
            )
        return ValueType((*left[:-1], *right[1:]))

    def _broadcast(self, operands: Sequence[int], span: Span) -> tuple[int, ...]:
        """Return the axes of operands that are combined element by element."""
        axes: tuple[int, ...] = ()
        for operand in operands:
            step = self.steps[operand]
            if len(step.type.axes) == 2:
                raise refuse_matrix(self._text, step.span, step.type.words)
            if step.type.axes and axes and step.type.axes != axes:
                raise ShapeMismatch(
                    (),
                    expected="vectors of one size",
                    received=f"vectors of {axes[0]} and of {step.type.axes[0]} in {describe(self._text, span)}",
                    advice="Numbers mix with vectors, vectors of two sizes do not: project one of them, W @ k.",
                )
            axes = axes or step.type.axes
        return axes

    def _require_number(self, operand: int, span: Span, operation: str) -> None:
        found = self.steps[operand].type
        if found.is_truth:
            raise refuse_truth(self._text, span, found.words, operation, self._kind)

    def _require_truth(self, operand: int, operation: str) -> None:
        step = self.steps[operand]
        if not step.type.is_truth:
            raise refuse_number(self._text, step.span, step.type.words, operation)


def max_level(levels: Iterable[int]) -> int:
    """Return all bits of some levels."""
    found = 0
    for level in levels:
        found |= level
    return found


def _renumber(step: Step, renamed: Mapping[int, int]) -> Step:
    return replace(step, operands=tuple(renamed[operand] for operand in step.operands))
