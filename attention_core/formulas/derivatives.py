"""The derivative of each operation of a formula: from the gradient of its value to those of its operands.

At a kink the slope is taken as 0: abs and relu at 0, norm and sqrt at 0, minimum and maximum where a constant equals
the other operand.  Equals that both have a gradient share it.  A gradient of 0 stays 0 whatever the slope is, so that
what `where` does not choose has no influence.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.formulas.graph import ROWS, Graph, Step
from attention_core.formulas.operations import Value, lift, multiply_matrix, norm, sigmoid
from attention_core.reductions import all_finite

Slopes = Callable[..., tuple[Value | None, ...]]

SLOPES: Mapping[str, Slopes] = {
    "negate": lambda _y, _x: (-1.0,),
    "abs": lambda _y, x: (np.sign(x),),
    "sqrt": lambda y, _x: (np.where(np.equal(y, 0), 0.0, np.divide(0.5, y)),),
    "exp": lambda y, _x: (y,),
    "expm1": lambda y, _x: (y + 1.0,),
    "log": lambda _y, x: (np.divide(1.0, x),),
    "log1p": lambda _y, x: (np.divide(1.0, np.add(x, 1.0)),),
    "tanh": lambda y, _x: (1.0 - np.square(y),),
    "sin": lambda _y, x: (np.cos(x),),
    "cos": lambda _y, x: (np.negative(np.sin(x)),),
    "sigmoid": lambda y, _x: (y * (1.0 - y),),
    "softplus": lambda _y, x: (sigmoid(x),),
    "relu": lambda _y, x: (np.where(np.greater(x, 0), 1.0, 0.0),),
    "square": lambda _y, x: (np.multiply(2.0, x),),
    "+": lambda _y, _a, _b: (1.0, 1.0),
    "-": lambda _y, _a, _b: (1.0, -1.0),
    "*": lambda _y, a, b: (b, a),
    "/": lambda y, _a, b: (np.divide(1.0, b), np.negative(np.divide(y, b))),
    "%": lambda _y, a, b: (1.0, np.negative(np.floor_divide(a, b))),
    "**": lambda y, a, b: (_slope_of_base(a, b), _slope_of_exponent(y, a)),
    "clip": lambda _y, x, a, b: (
        _chosen(np.greater(x, a) & np.less(x, b)),
        _chosen(np.greater(a, x) & np.less(a, b)),
        _chosen(np.greater(np.maximum(x, a), b)),
    ),
    "where": lambda _y, c, _a, _b: (None, _chosen(c), _chosen(np.logical_not(c))),
}
"""Slopes of an operation with respect to each of its operands, from its value and its operands."""


def _chosen(truth: Value) -> Value:
    """Return 1 where true, else 0."""
    return np.where(truth, 1.0, 0.0)


def _slopes_of_choice(operation: str, a: Value, b: Value, *, shares: bool) -> tuple[Value, Value]:
    """Return 1 for the operand that is chosen, 0 for the other; of equals a half each if they share, else 0."""
    first = np.less(a, b) if operation == "minimum" else np.greater(a, b)
    ties = np.where(np.equal(a, b), 0.5 if shares else 0.0, 0.0)
    second = np.less(b, a) if operation == "minimum" else np.greater(b, a)
    return np.where(first, 1.0, ties), np.where(second, 1.0, ties)


def _slope_of_base(base: Value, exponent: Value) -> Value:
    """Return b·a^(b − 1), 0 for the exponent 0, and for a root at 0, as of sqrt."""
    slope = np.multiply(exponent, np.power(base, np.subtract(exponent, 1.0)))
    is_root_of_zero = np.equal(base, 0) & np.greater(exponent, 0) & np.less(exponent, 1)
    return np.where(np.equal(exponent, 0) | is_root_of_zero, 0.0, slope)


def _slope_of_exponent(power: Value, base: Value) -> Value:
    """Return a^b·log a, 0 for the base 0."""
    return np.where(np.equal(base, 0), 0.0, np.multiply(power, np.log(base)))


def differentiate_step(
    graph: Graph, step: Step, operands: Sequence[Value], value: Value, gradient: FloatArray
) -> list[FloatArray | None]:
    """Return the gradient of each operand, None for one that has none; axes over which it was broadcast are not summed.

    A number's gradient is (…, q, k), a vector's (…, q, U, k), a matrix's (rows, columns) with leading axes.

    :param graph: the formula.
    :param step: an operation other than a number, a name, a parameter or an index.
    :param operands: values of its operands.
    :param value: its value.
    :param gradient: its gradient.
    """
    below = [graph.steps[operand] for operand in step.operands]
    operation = step.operation
    if operation == "@":
        return differentiate_matrix_product(below, operands, gradient)
    if operation == "dot":
        return [
            _differentiate_dot(one, other, gradient) if step_below.has_gradient else None
            for step_below, one, other in zip(below, operands, operands[::-1], strict=True)
        ]
    if operation == "slice":
        return [_differentiate_slice(step, operands[0], gradient)]
    if operation == "concat":
        ends = np.cumsum([one.type.axes[0] for one in below])[:-1]
        return list(np.split(gradient, ends, axis=-2))
    if operation in REDUCTION_GRADIENTS:
        return [REDUCTION_GRADIENTS[operation](operands[0], value, gradient)]
    if step.type.axes:
        operands = [x if one.type.axes else lift(x) for x, one in zip(operands, below, strict=True)]
    slopes: tuple[Value | None, ...]
    if operation in ("minimum", "maximum"):
        slopes = _slopes_of_choice(operation, *operands, shares=all(one.has_gradient for one in below))
    else:
        slopes = SLOPES[operation](value, *operands)
    found: list[FloatArray | None] = []
    for one, slope in zip(below, slopes, strict=True):
        if not one.has_gradient or slope is None:
            found.append(None)
            continue
        along = times(gradient, slope)
        found.append(along.sum(axis=-2) if step.type.axes and not one.type.axes else along)
    return found


def times(gradient: FloatArray, slope: Value) -> FloatArray:
    """Return gradient · slope, 0 wherever the gradient is 0."""
    if np.ndim(slope) == 0:
        # A number of Python takes the type of the gradient, one of NumPy would widen it.
        slope = float(slope)
    if isinstance(slope, float) and slope == 1.0:
        return gradient
    found = gradient * slope
    if not all_finite(found):
        found = np.where(gradient == 0, 0, found)
    return found.astype(gradient.dtype, copy=False)


def _differentiate_dot(one: FloatArray, other: FloatArray, gradient: FloatArray) -> FloatArray:
    """Return the gradient of one side of a dot product, (…, q or 1, U, k or 1)."""
    has_rows, has_columns = _spans(one)
    other_rows, other_columns = _spans(other)
    # One vector for each query beside one for each key: a product of matrices, without a vector for each pair.
    if has_rows and other_columns and not has_columns and not other_rows:
        return _sum_products(gradient, other[..., 0, :, :].swapaxes(-1, -2))[..., None]
    if has_columns and other_rows and not has_rows and not other_columns:
        return _sum_products(gradient.swapaxes(-1, -2), other[..., 0]).swapaxes(-1, -2)[..., None, :, :]
    return times(lift(gradient), other)


def _sum_products(gradient: FloatArray, vectors: FloatArray) -> FloatArray:
    """Return gradient · vectors, (…, m, U); where the gradient is 0, NaN and ±∞ of a vector have no influence.

    :param gradient: (…, m, n).
    :param vectors: (…, n, U).
    """
    if all_finite(vectors):
        return np.matmul(gradient, vectors)
    finite = np.isfinite(vectors)
    found = np.matmul(gradient, np.where(finite, vectors, 0))
    for index in np.flatnonzero(~finite.all(axis=(*range(vectors.ndim - 2), -1))):
        along = gradient[..., index, None]
        reaches = (along != 0) & ~finite[..., index, None, :]
        found += np.where(reaches, along * vectors[..., index, None, :], 0)
    return found


def _spans(vectors: FloatArray) -> tuple[bool, bool]:
    """Return whether vectors, (…, q, U, k), have several queries and several keys."""
    return vectors.ndim > 2 and vectors.shape[-3] != 1, vectors.shape[-1] != 1


def _differentiate_slice(step: Step, operand: FloatArray, gradient: FloatArray) -> FloatArray:
    """Return the gradient of elements of vectors, or of columns of a matrix, among zeros."""
    start, stop = step.value if isinstance(step.value, tuple) else (0, None)
    if len(step.type.axes) == 2:
        whole = np.zeros((*gradient.shape[:-1], operand.shape[-1]), gradient.dtype)
        whole[..., start:stop] = gradient
    else:
        whole = np.zeros((*gradient.shape[:-2], operand.shape[-2], gradient.shape[-1]), gradient.dtype)
        whole[..., start:stop, :] = gradient
    return whole


def _differentiate_unit(x: FloatArray, value: FloatArray, gradient: FloatArray) -> FloatArray:
    """Return (g − u (u·g)) / ‖x‖, 0 for a zero vector whose u is 0 and wherever g is 0, though u may be NaN."""
    along = np.sum(times(gradient, value), axis=-2, keepdims=True)
    length = lift(norm(x))
    return times(gradient - times(along, value), np.where(length > 0, 1 / np.where(length > 0, length, 1), 0))


def _differentiate_extreme(x: FloatArray, value: FloatArray, gradient: FloatArray) -> FloatArray:
    """Return the gradient at the largest or smallest element; several of these share it."""
    at = x == lift(value)
    return times(lift(gradient), at / np.maximum(at.sum(axis=-2, keepdims=True), 1))


def _differentiate_norm(x: FloatArray, value: FloatArray, gradient: FloatArray) -> FloatArray:
    length = lift(value)
    return times(lift(gradient), np.where(length == 0, 0.0, x / np.where(length == 0, 1.0, length)))


REDUCTION_GRADIENTS: Mapping[str, Callable[[FloatArray, Any, FloatArray], FloatArray]] = {
    "sum": lambda x, _value, gradient: times(lift(gradient), np.ones((*x.shape[-2:-1], 1), x.dtype)),
    "max": _differentiate_extreme,
    "min": _differentiate_extreme,
    "norm": _differentiate_norm,
    "unit": _differentiate_unit,
    "direction": _differentiate_unit,
}


def differentiate_matrix_product(
    below: Sequence[Step],
    operands: Sequence[FloatArray],
    gradient: FloatArray,
    multiply: Callable[[FloatArray, FloatArray], FloatArray] = multiply_matrix,
) -> list[FloatArray | None]:
    """Return the gradients of a matrix and of a vector that are multiplied, in the order of the operands.

    :param below: the two operands.
    :param operands: their values.
    :param gradient: gradient of the product.
    :param multiply: returns matrix · vector for many vectors, as `operations.multiply_matrix`.
    """
    matrix_first = len(below[0].type.axes) == 2
    matrix, vector = operands if matrix_first else operands[::-1]
    of_matrix, of_vector = below if matrix_first else below[::-1]
    backward = matrix.swapaxes(-1, -2) if matrix_first else matrix
    vector_gradient = matrix_gradient = None
    if of_vector.has_gradient:
        vector_gradient = multiply(backward, gradient)
    if of_matrix.has_gradient:
        matrix_gradient = _sum_outer_products(gradient, vector, of_vector.level)
        if not matrix_first:
            matrix_gradient = matrix_gradient.swapaxes(-1, -2)
    return [matrix_gradient, vector_gradient] if matrix_first else [vector_gradient, matrix_gradient]


def _sum_outer_products(gradient: FloatArray, vectors: FloatArray, level: int) -> FloatArray:
    """Return Σ gradient · vectorᵀ over queries and keys, (…, rows, columns)."""
    if gradient.ndim < 3:
        return np.matmul(gradient, vectors.swapaxes(-1, -2))
    if level & ROWS and gradient.shape[-1] == 1:
        return np.matmul(gradient[..., 0].swapaxes(-1, -2), vectors[..., 0])
    return np.matmul(gradient, vectors.swapaxes(-1, -2)).sum(axis=-3)
