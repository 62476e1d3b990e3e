"""Rewrite reductions so that what they need for each pair is little: the steps that are computed, not those written.

::

    mean(x)              sum(x) / n
    norm1(x)             sum(abs(x))
    a @ b                dot(a, b)                           of two vectors
    cosine(a, b)         dot(unit(a), unit(b))
    x ** 2               square(x);  norm(x) ** 2 is sum(square(x))
    minimum(x, x)        x
    sum(q * k * c)       dot(q, k) * c                       numbers of whole pairs leave the sum
    sum(q / c * w * k)   dot(q / c * w, k)                   those of one side stay: q · k may overflow without them
    dot(w, concat(…))    a dot product for each part         where the parts are of query and key
    W @ concat(…)        a product for each part
    dot(a, b) / norm(a)  dot(direction(a), b)                see `normalized_products`

``unit`` (a vector divided by its length, zero for a zero vector), ``direction`` (the same, but NaN for a zero vector)
and ``slice`` (some elements, or columns of a matrix) are no functions of the language.  A dot product of a query's
vector and a key's is a product of matrices for a whole tile.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

from attention_core.formulas.builder import Builder
from attention_core.formulas.graph import COLUMNS, NUMBER, PAIRS, ROWS, Step, ValueType
from attention_core.formulas.nodes import Span
from attention_core.formulas.normalized_products import rewrite_lengths


class _Factors(NamedTuple):
    """A product of vectors and numbers under a sum."""

    vectors: list[int]
    numbers: list[int]
    divisors: list[int]
    negative: bool


def rewrite(builder: Builder, operation: str, operands: Sequence[int], span: Span) -> int | None:
    """Return the index of the step that takes an operation's place; None where it stays as it is.

    :param builder: adds steps.
    :param operation: as in `attention_core.formulas.graph.Step`.
    :param operands: indices of its operands.
    :param span: piece of the formula's text.
    """
    below = [builder.steps[operand] for operand in operands]
    ranks = [len(step.type.axes) for step in below]
    if operation in ("minimum", "maximum") and operands[0] == operands[1]:
        return operands[0]
    if operation == "mean":
        total = builder.add("sum", operands, NUMBER, span)
        return builder.add("/", (total, builder.add_number(float(below[0].type.axes[0]), span)), NUMBER, span)
    if operation == "norm1":
        return builder.add("sum", [builder.add("abs", operands, below[0].type, span)], NUMBER, span)
    if operation == "cosine":
        units = [builder.add("unit", (one,), builder.steps[one].type, span) for one in operands]
        return builder.add("dot", units, NUMBER, span)
    if operation == "**" and below[1].operation == "number" and below[1].value == 2.0:
        return builder.add("square", operands[:1], below[0].type, span)
    if operation == "square" and below[0].operation == "norm":
        inner = below[0].operands
        return builder.add("sum", [builder.add("square", inner, builder.steps[inner[0]].type, span)], NUMBER, span)
    if operation in ("sum", "dot") or (operation == "@" and ranks == [1, 1]):
        return _rewrite_sum(builder, _factor(builder, operands), span)
    if operation in ("*", "/", "sqrt"):
        return rewrite_lengths(builder, operation, operands, span)
    if operation == "@" and below[1].operation == "concat" and below[1].level == PAIRS:
        return _split_matrix(builder, operands[0], below[1], span)
    return None


def _factor(builder: Builder, operands: Sequence[int]) -> _Factors:
    """Return the factors of the product of some steps, numbers and signs of pairs apart.

    What a query or a key is multiplied with stays with it: it is computed once for each, and a number that keeps a
    product from overflowing does so still.
    """
    found = _Factors([], [], [], negative=False)
    pending, negative = list(reversed(operands)), False
    while pending:
        index = pending.pop()
        step = builder.steps[index]
        if not step.type.axes:
            found.numbers.append(index)
        elif step.operation == "*" and (
            step.level == PAIRS or all(builder.steps[one].type.axes for one in step.operands)
        ):
            pending += reversed(step.operands)
        elif step.level != PAIRS:
            found.vectors.append(index)
        elif step.operation == "negate":
            pending.append(step.operands[0])
            negative = not negative
        elif step.operation == "/" and not builder.steps[step.operands[1]].type.axes:
            pending.append(step.operands[0])
            found.divisors.append(step.operands[1])
        else:
            found.vectors.append(index)
    return found._replace(negative=negative)


def _rewrite_sum(builder: Builder, factors: _Factors, span: Span) -> int:
    """Return the index of a sum of a product, as cheap as its factors allow."""
    total = _split_concatenation(builder, factors.vectors, span) or _sum_vectors(builder, factors.vectors, span)
    for number in factors.numbers:
        total = builder.add("*", (total, number), NUMBER, span)
    for divisor in factors.divisors:
        total = builder.add("/", (total, divisor), NUMBER, span)
    return builder.add("negate", (total,), NUMBER, span) if factors.negative else total


def _sum_vectors(builder: Builder, vectors: Sequence[int], span: Span) -> int:
    """Return the index of the sum of a product of vectors, grouped by what they depend on."""
    if len(vectors) == 2 and vectors[0] == vectors[1]:
        square = builder.add("square", vectors[:1], builder.steps[vectors[0]].type, span)
        return builder.add_plain("sum", (square,), NUMBER, span)
    by_level: dict[int, list[int]] = {0: [], ROWS: [], COLUMNS: [], PAIRS: []}
    for index in vectors:
        by_level[builder.steps[index].level].append(index)
    if by_level[PAIRS]:
        # What all pairs share, such as the vector v of v·tanh(…), is one side of a product.
        sides = [by_level[0], by_level[ROWS] + by_level[COLUMNS] + by_level[PAIRS]]
    elif by_level[ROWS] and by_level[COLUMNS]:
        sides = [by_level[ROWS] + by_level[0], by_level[COLUMNS]]
    else:
        sides = [by_level[0], by_level[ROWS] + by_level[COLUMNS]]
    products = [_multiply(builder, side, span) for side in sides if side]
    return builder.add_plain("dot" if len(products) == 2 else "sum", products, NUMBER, span)


def _multiply(builder: Builder, vectors: Sequence[int], span: Span) -> int:
    found = vectors[0]
    for index in vectors[1:]:
        found = (
            builder.add("square", (found,), builder.steps[found].type, span)
            if index == found
            else builder.add("*", (found, index), builder.steps[found].type, span)
        )
    return found


def _split_concatenation(builder: Builder, vectors: Sequence[int], span: Span) -> int | None:
    """Return the index of Σ over the parts of a concatenation of query and key; None without one."""
    for position, index in enumerate(vectors):
        step = builder.steps[index]
        if step.operation == "concat" and step.level == PAIRS:
            others = [*vectors[:position], *vectors[position + 1 :]]
            sums = []
            for part, start, stop in _parts(builder, step):
                sliced = [_slice(builder, other, start, stop, span) for other in others]
                sums.append(_rewrite_sum(builder, _factor(builder, [*sliced, part]), span))
            return _add_all(builder, sums, span)
    return None


def _split_matrix(builder: Builder, matrix: int, whole: Step, span: Span) -> int:
    """Return the index of Σ over the parts of a concatenation, each times its columns of the matrix."""
    result = ValueType(builder.steps[matrix].type.axes[:1])
    products = []
    for part, start, stop in _parts(builder, whole):
        columns = _slice(builder, matrix, start, stop, span)
        products.append(builder.add("@", (columns, part), result, span))
    return _add_all(builder, products, span)


def _parts(builder: Builder, whole: Step) -> Iterator[tuple[int, int, int]]:
    """Yield the parts of a concatenation, each with its first index and the one behind its last."""
    start = 0
    for part in whole.operands:
        stop = start + prod(builder.steps[part].type.axes)
        yield part, start, stop
        start = stop


def _slice(builder: Builder, index: int, start: int, stop: int, span: Span) -> int:
    """Return the index of some elements of a vector, or some columns of a matrix."""
    axes = builder.steps[index].type.axes
    if (start, stop) == (0, axes[-1]):
        return index
    return builder.add("slice", (index,), ValueType((*axes[:-1], stop - start)), span, (start, stop))


def _add_all(builder: Builder, indices: Sequence[int], span: Span) -> int:
    total = indices[0]
    for index in indices[1:]:
        total = builder.add("+", (total, index), builder.steps[total].type, span)
    return total
