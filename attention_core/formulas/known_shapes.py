"""What a formula alone says of the shapes of its parameters, before any of them is given."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from attention_core.errors import ArgumentPath, InvalidValue
from attention_core.formulas.graph import describe_type
from attention_core.formulas.language import LANGUAGE
from attention_core.formulas.nodes import Node
from attention_core.formulas.parsing import Formula
from attention_core.formulas.type_errors import (
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

MAX_TRIALS = 300
"""Maximum combinations of ranks that are tried; a formula that has more says nothing of the rest."""

AXES_OF_POSITIONS = {"i": "Lq", "j": "Lk", "h": "Hq", "b": "B"}
"""Size of an axis that is indexed by a position alone."""

FREE_SIZES = ("U", "M", "N", "R", "S", "T")
"""Letters for sizes that the parameters decide; numbered beyond these."""

OR = " or "
"""Between the names of a size that must be at least each of several."""

Shape = tuple[str, ...]
"""Axes by the names of their sizes; none for a number."""


class KnownParameter(NamedTuple):
    """A parameter of a formula that is not given yet."""

    name: str
    shapes: tuple[Shape, ...]
    """Every shape that lets the formula yield what it must; empty where too many were possible to try them."""


class _Type(NamedTuple):
    """What a part of a formula yields."""

    axes: tuple[int, ...] = ()
    """Indices of sizes."""
    is_truth: bool = False


def known_parameters(formula: Formula, path: ArgumentPath) -> tuple[KnownParameter, ...]:
    """Return the parameters of a formula with the shapes that are possible, in the order in which they appear.

    :param formula: what `parse_formula` returned.
    :param path: the argument that holds the formula, for errors.

    Raises InvalidValue if the formula yields what it must for no shapes at all: with the column and the piece of text
    at which the combination of ranks that gets furthest fails.
    """
    found: dict[str, list[Shape]] = {name: [] for name in formula.free_names}
    errors: list[tuple[int, InvalidValue]] = []
    fits = False
    for trial in _trials(formula, errors):
        if trial is None:
            return tuple(KnownParameter(name, ()) for name in formula.free_names)
        fits = True
        for name, shape in trial.items():
            if shape not in found[name]:
                found[name].append(shape)
    if not fits:
        error = max(errors, key=lambda one: one[0])[1]
        error.path = path
        raise error
    return tuple(KnownParameter(name, tuple(shapes)) for name, shapes in found.items())


def _trials(formula: Formula, errors: list[tuple[int, InvalidValue]]) -> Iterator[dict[str, Shape] | None]:
    """Yield the shapes of every combination of ranks that fits; None where there are too many combinations.

    A combination that does not fit is left at the first operation that shows it, so that those which begin alike are
    not tried.

    :param formula: what `parse_formula` returned.
    :param errors: list to which the errors of the others are appended, each with the number of nodes before it.
    """
    ranks: list[int] = []
    for _ in range(MAX_TRIALS):
        trial = _Trial(formula, ranks)
        try:
            yield trial.infer_shapes()
        except InvalidValue as error:
            errors.append((trial.inferred, error))
        ranks = trial.used[:]
        while ranks and ranks[-1] == 2:
            ranks.pop()
        if not ranks:
            return
        ranks[-1] += 1
    yield None


class _Trial:
    """Infers types with some ranks for the first parameters that appear, and the lowest for all others."""

    def __init__(self, formula: Formula, ranks: Sequence[int]) -> None:
        self.used: list[int] = []
        """Ranks of the parameters that have appeared, but for indexed ones."""
        self.inferred = 0
        """Nodes whose types are inferred."""
        self._formula = formula
        self._text = formula.text
        self._ranks = ranks
        self._parameters: dict[str, tuple[int, ...]] = {}
        self._same: list[int] = []
        """For each size one that it is equal to, itself if none is known."""
        self._names: dict[int, str] = {}
        """Names of sizes that have one."""
        self._sums: dict[int, tuple[int, ...]] = {}
        """Sizes that are sums of others."""
        self._query, self._key = self._add("Dq"), self._add("Dk")

    def infer_shapes(self) -> dict[str, Shape]:
        """Return the shape of each parameter; raise InvalidValue if the formula does not yield what it must."""
        root, kind = self._formula.root, self._formula.kind
        result = self._infer(root)
        if result.axes or result.is_truth != (kind == "mask"):
            words = self._words(result)
            raise refuse_result(self._text, root, kind, words, is_vector=bool(result.axes), is_truth=result.is_truth)
        letters = self._letters()
        return {name: tuple(self._written(size, letters) for size in axes) for name, axes in self._parameters.items()}

    def _letters(self) -> Iterator[str]:
        return iter((*FREE_SIZES, *(f"{FREE_SIZES[0]}{number}" for number in range(2, 100))))

    def _words(self, found: _Type) -> str:
        """Return what an error calls something that a part of the formula yields."""
        letters = self._letters()
        return describe_type([self._written(size, letters) for size in found.axes], is_truth=found.is_truth)

    def _infer(self, node: Node) -> _Type:
        """Return what a node yields; raise InvalidValue if its operands do not fit it."""
        found = self._infer_leaf(node)
        if found is None:
            operands = [self._infer(operand) for operand in node.operands]
            found = self._infer_operation(node, operands)
        self.inferred += 1
        return found

    def _infer_leaf(self, node: Node) -> _Type | None:
        match node.operation:
            case "number":
                return _Type(is_truth=isinstance(node.value, bool))
            case "name":
                return self._infer_name(str(node.value))
            case "index":
                return self._infer_index(node)
        return None

    def _infer_operation(self, node: Node, operands: Sequence[_Type]) -> _Type:
        group = "arithmetic" if node.operation == "negate" else LANGUAGE[node.operation].group
        for position, (child, operand) in enumerate(zip(node.operands, operands, strict=True)):
            wanted = group == "logic" or (node.operation == "where" and position == 0)
            if operand.is_truth and not wanted:
                words = self._words(operand)
                raise refuse_truth(self._text, child.span, words, node.operation, self._formula.kind)
            if wanted and not operand.is_truth:
                raise refuse_number(self._text, child.span, self._words(operand), node.operation)
        if node.operation == "@":
            return self._infer_product(node, *operands)
        if group in ("reduction", "shape"):
            return self._infer_of_vectors(node, operands)
        return _Type(self._broadcast(node, operands), is_truth=group in ("comparison", "logic"))

    def _infer_name(self, name: str) -> _Type:
        if name in ("q", "k"):
            return _Type((self._query if name == "q" else self._key,))
        if name in LANGUAGE:
            if name == "D":
                self._equate(self._query, self._key)
            return _Type()
        if name not in self._parameters:
            rank = self._ranks[len(self.used)] if len(self.used) < len(self._ranks) else 0
            self.used.append(rank)
            self._parameters[name] = tuple(self._add() for _ in range(rank))
        return _Type(self._parameters[name])

    def _infer_index(self, node: Node) -> _Type:
        """Return a number; each axis of the parameter is as long as the positions that index it need."""
        base, *indices = node.operands
        name = str(base.value)
        if name in LANGUAGE:
            raise refuse_indexed(self._text, base.span, name)
        for index in indices:
            found = self._infer(index)
            if found.is_truth:
                raise refuse_truth(self._text, index.span, self._words(found), "index", self._formula.kind)
            if found.axes:
                raise refuse_vector_index(self._text, index.span, self._words(found))
        axes = self._parameters.setdefault(name, tuple(self._add() for _ in indices))
        if len(axes) != len(indices):
            raise refuse_index_count(self._text, node.span, len(axes), len(indices), self._words(_Type(axes)))
        for axis, index in zip(axes, indices, strict=True):
            needed = AXES_OF_POSITIONS.get(str(index.value)) if index.operation == "name" else None
            root = self._root(axis)
            if needed is not None and needed not in self._names.get(root, "").split(OR):
                self._names[root] = OR.join(filter(None, (self._names.get(root), needed)))
        return _Type()

    def _infer_product(self, node: Node, left: _Type, right: _Type) -> _Type:
        if (len(left.axes), len(right.axes)) not in ((1, 1), (1, 2), (2, 1)):
            raise refuse_product(self._text, node.span, self._words(left), self._words(right))
        self._equate(left.axes[-1], right.axes[0])
        return _Type((*left.axes[:-1], *right.axes[1:]))

    def _infer_of_vectors(self, node: Node, operands: Sequence[_Type]) -> _Type:
        for child, operand in zip(node.operands, operands, strict=True):
            if len(operand.axes) != 1:
                words = self._words(operand)
                kind = self._formula.kind
                raise refuse_operand(self._text, child.span, words, node.operation, len(operands), kind)
        if node.operation != "concat":
            self._broadcast(node, operands)
            return _Type()
        whole = self._add()
        self._sums[whole] = tuple(operand.axes[0] for operand in operands)
        return _Type((whole,))

    def _broadcast(self, node: Node, operands: Sequence[_Type]) -> tuple[int, ...]:
        """Return the axes of operands that are combined element by element."""
        axes: tuple[int, ...] = ()
        for child, operand in zip(node.operands, operands, strict=True):
            if len(operand.axes) == 2:
                raise refuse_matrix(self._text, child.span, self._words(operand))
            if operand.axes and axes:
                self._equate(axes[0], operand.axes[0])
            axes = axes or operand.axes
        return axes

    def _add(self, name: str = "") -> int:
        size = len(self._same)
        self._same.append(size)
        if name:
            self._names[size] = name
        return size

    def _root(self, size: int) -> int:
        while self._same[size] != size:
            size = self._same[size]
        return size

    def _equate(self, one: int, other: int) -> None:
        """Make two sizes equal: a named one or a sum stands for a free one, and Dq = Dk is called D."""
        first, second = self._root(one), self._root(other)
        if first == second:
            return
        if first in self._names or first in self._sums:
            first, second = second, first
        if first in self._sums and first not in self._names:
            first, second = second, first
        if first in self._names and second in self._names:
            self._names[second] = "D"
        self._same[first] = second
        if first in self._sums and second not in self._sums and second not in self._names:
            self._sums[second] = self._sums[first]

    def _written(self, size: int, letters: Iterator[str]) -> str:
        """Return the name of a size; free ones get the next letter."""
        root = self._root(size)
        if root not in self._names:
            parts = [self._written(part, letters) for part in self._sums.get(root, ())]
            distinct = dict.fromkeys(parts)
            counted = (part if parts.count(part) == 1 else f"{parts.count(part)}·{part}" for part in distinct)
            self._names[root] = " + ".join(counted) if parts else next(letters)
        names = self._names[root].split(OR)
        return names[0] if len(names) == 1 else f"max({', '.join(names)})"
