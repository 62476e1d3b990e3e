"""A formula as a graph of typed steps: equal parts are one step, operands come before what uses them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from attention_core.formulas.nodes import Span

ROWS, COLUMNS = 1, 2
"""Bits of `Step.level`: a value differs from query to query, from key to key."""

PAIRS = ROWS | COLUMNS
"""The level of a value that differs from pair to pair."""


class ValueType(NamedTuple):
    """What a step yields for one pair."""

    axes: tuple[int, ...] = ()
    """Sizes: none for a number, one for a vector, two for a matrix (rows, columns)."""
    is_truth: bool = False
    """Whether it is true or false (or a vector of these), and no number."""

    @property
    def words(self) -> str:
        """Return what an error calls it."""
        return describe_type(self.axes, is_truth=self.is_truth)


def describe_type(axes: Sequence[int | str], *, is_truth: bool) -> str:
    """Return what an error calls something that a formula yields, such as "a vector of 4 numbers".

    :param axes: sizes, or their names where only the formula is known.
    :param is_truth: whether it is true or false, or a vector of these.
    """
    truth = "truth value" if is_truth else "number"
    if not axes:
        return f"a {truth}"
    if len(axes) == 1:
        return f"a vector of {axes[0]} {truth}{'' if axes[0] == 1 else 's'}"
    return f"a matrix of {axes[0]} × {axes[1]}"


NUMBER, TRUTH = ValueType(), ValueType(is_truth=True)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of a formula, computed from earlier steps."""

    operation: str
    """As in `attention_core.formulas.nodes.Node`; besides these "parameter", and what `rewriting` makes."""
    operands: tuple[int, ...]
    """Indices of the steps that it is computed from."""
    type: ValueType
    level: int
    """`ROWS` and `COLUMNS`, as far as the value depends on them; 0 for one that all pairs share."""
    is_tensor: bool
    """Whether it depends on query, key or score, so that it is in the compute type."""
    has_gradient: bool
    """Whether it depends smoothly on query, key, score or a parameter."""
    value: float | str | tuple[int, int]
    """The number, the name, or the range of a slice."""
    span: Span
    """Piece of the formula's text that it was made from."""

    @property
    def is_vector(self) -> bool:
        """Whether it is a vector."""
        return len(self.type.axes) == 1


class Graph(NamedTuple):
    """The steps of a formula in an order in which they can be computed; the last is the whole."""

    text: str
    steps: Sequence[Step]

    @property
    def root(self) -> int:
        """Index of the whole."""
        return len(self.steps) - 1
