"""Rewrite a dot product over the lengths of its vectors as the dot product of their directions.

::

    dot(a, b) / (norm(a) * norm(b))      dot(direction(a), direction(b))
    dot(a, b) / norm(b) * c              dot(a, direction(b)) * c
    sqrt(sum(square(a)))                 norm(a)

A direction is a vector over its length, computed once for each query or key: a product of matrices is left for the
pairs.  Unlike the unit vectors of ``cosine`` it is NaN for a zero vector, as the quotient 0/0 is.  No other divisor is
taken into a vector: 0/0 of one element would be NaN where the whole is infinite.
"""

from collections.abc import Sequence
from typing import NamedTuple

from attention_core.formulas.builder import Builder
from attention_core.formulas.graph import COLUMNS, NUMBER, PAIRS, ROWS
from attention_core.formulas.nodes import Span


class _Quotient(NamedTuple):
    """A product of numbers over a product of numbers."""

    factors: list[int]
    divisors: list[int]
    negative: bool


def rewrite_lengths(builder: Builder, operation: str, operands: Sequence[int], span: Span) -> int | None:
    """Return the index of the step that takes the place of a product, quotient or root; None where it stays.

    :param builder: adds steps.
    :param operation: "*", "/" or "sqrt".
    :param operands: indices of its operands.
    :param span: piece of the formula's text.
    """
    if operation == "sqrt":
        return _rewrite_root(builder, operands[0], span)
    return _rewrite_quotient(builder, operation, operands, span)


def _rewrite_quotient(builder: Builder, operation: str, operands: Sequence[int], span: Span) -> int | None:
    """Return the index of a dot product of directions, times and over other numbers; None for another quotient."""
    below = [builder.steps[operand] for operand in operands]
    # Most products have no length in them: look for one before taking them apart.
    if any(step.type.axes for step in below) or not any(step.operation == "norm" for step in builder.steps):
        return None
    factors, divisors, negative = _take_apart(builder, operation, operands)
    of_pairs = [index for index in factors if builder.steps[index].level == PAIRS]
    if len(of_pairs) != 1 or builder.steps[of_pairs[0]].operation != "dot":
        return None
    sides = list(builder.steps[of_pairs[0]].operands)
    if sorted(builder.steps[side].level for side in sides) != [ROWS, COLUMNS]:
        return None
    found = False
    for position, side in enumerate(sides):
        length = _find_length(builder, side, divisors)
        if length is not None:
            divisors.remove(length)
            sides[position] = builder.add("direction", (side,), builder.steps[side].type, span)
            found = True
    if not found:
        return None
    factors.remove(of_pairs[0])
    total = builder.add_plain("dot", sides, NUMBER, span)
    for factor in factors:
        total = builder.add("*", (total, factor), NUMBER, span)
    for divisor in divisors:
        total = builder.add("/", (total, divisor), NUMBER, span)
    return builder.add("negate", (total,), NUMBER, span) if negative else total


def _find_length(builder: Builder, vector: int, divisors: Sequence[int]) -> int | None:
    """Return which divisor is the length of a vector; None for none of them."""
    for divisor in divisors:
        step = builder.steps[divisor]
        if step.operation == "norm" and step.operands == (vector,):
            return divisor
    return None


def _take_apart(builder: Builder, operation: str, operands: Sequence[int]) -> _Quotient:
    """Return the factors and divisors of a product or quotient, of its operands and of theirs."""
    found: tuple[list[int], list[int]] = [], []
    negative = False
    pending = [(operands[1], operation == "/"), (operands[0], False)]
    while pending:
        index, divides = pending.pop()
        step = builder.steps[index]
        if step.level and step.operation in ("*", "/") and not step.type.axes:
            left, right = step.operands
            pending += [(right, divides != (step.operation == "/")), (left, divides)]
        elif step.level and step.operation == "negate":
            pending.append((step.operands[0], divides))
            negative = not negative
        else:
            found[divides].append(index)
    return _Quotient(*found, negative)


def _rewrite_root(builder: Builder, operand: int, span: Span) -> int | None:
    """Return the index of the length, or of the product of two lengths, that a square root is; None for another."""
    step = builder.steps[operand]
    if step.operation == "*" and step.level == PAIRS:
        lengths = [_rewrite_root(builder, one, span) for one in step.operands]
        if None in lengths:
            return None
        return builder.add("*", [one for one in lengths if one is not None], NUMBER, span)
    if step.operation != "sum" or step.level not in (ROWS, COLUMNS):
        return None
    squares = builder.steps[step.operands[0]]
    return builder.add("norm", squares.operands, NUMBER, span) if squares.operation == "square" else None
