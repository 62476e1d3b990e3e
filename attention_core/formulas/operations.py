"""What each operation of a formula computes, with NumPy, for all pairs of a tile at once.

A number is an array that broadcasts to (…, q, k), a vector one that broadcasts to (…, q, U, k), whose inner loop runs
along the keys; a matrix is (rows, columns) or (Hq, rows, columns).  Arithmetic is that of IEEE 754, without warnings
inside `np.errstate`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray

MAX_SUMMED_ELEMENTS = 16
"""Elements that are summed in one product; rounding errors of one sign grow with their number."""

Value = Any
"""A Python number or truth value that all pairs share, or an array as the docstring of this module says."""


def sigmoid(x: Value) -> Value:
    """Return 1/(1 + exp(−x)), which overflows nowhere."""
    decay = np.exp(-np.abs(x))
    return np.where(np.greater_equal(x, 0), 1.0, decay) / (1.0 + decay) if np.ndim(x) else _sigmoid_number(x)


def _sigmoid_number(x: float) -> float:
    decay = float(np.exp(-abs(x)))
    return (decay if x < 0 else 1.0) / (1.0 + decay)


def softplus(x: Value) -> Value:
    """Return log(1 + exp(x)), which overflows nowhere."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def relu(x: Value) -> Value:
    """Return the larger of x and 0."""
    return np.maximum(x, 0.0)


def norm(x: FloatArray) -> FloatArray:
    """Return the Euclidean length of vectors, divided by their largest element before squaring: nothing overflows."""
    largest = np.max(np.abs(x), axis=-2, keepdims=True)
    safe = np.where((largest > 0) & (largest < np.inf), largest, 1)
    return np.sqrt(np.sum(np.square(x / safe), axis=-2)) * safe[..., 0, :]


def unit(x: FloatArray) -> FloatArray:
    """Return vectors divided by their length; a zero vector stays zero."""
    largest = np.max(np.abs(x), axis=-2, keepdims=True)
    shrunk = x / np.where(largest > 0, largest, 1)
    length = np.sqrt(np.sum(np.square(shrunk), axis=-2, keepdims=True))
    return shrunk / np.where(length > 0, length, 1)


def direction(x: FloatArray) -> FloatArray:
    """Return vectors divided by their length, NaN for a zero vector."""
    shrunk = x / np.max(np.abs(x), axis=-2, keepdims=True)
    return shrunk / np.sqrt(np.sum(np.square(shrunk), axis=-2, keepdims=True))


UNARY: Mapping[str, Callable[[Value], Value]] = {
    "negate": np.negative,
    "not": np.logical_not,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "relu": relu,
    "square": np.square,
    "sign": np.sign,
    "floor": np.floor,
}

BINARY: Mapping[str, np.ufunc] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "//": np.floor_divide,
    "%": np.remainder,
    "**": np.power,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}

IN_PLACE: Mapping[str, np.ufunc] = {
    **{name: function for name, function in UNARY.items() if isinstance(function, np.ufunc)},
    **BINARY,
}
"""Elementwise operations that may overwrite an operand."""


def sum_elements(x: FloatArray) -> FloatArray:
    """Return the sum of the elements of vectors, (…, q, k)."""
    if x.ndim < 3 or x.shape[-1] == 1:
        return np.sum(x, axis=-2)
    # A matrix product with ones sums a short axis faster than `np.sum` (benchmarks/RESULTS.md, "sum as a product").
    ones = np.ones((1, MAX_SUMMED_ELEMENTS), dtype=x.dtype)
    total = None
    for first in range(0, x.shape[-2], MAX_SUMMED_ELEMENTS):
        part = x[..., first : first + MAX_SUMMED_ELEMENTS, :]
        summed = np.matmul(ones[:, : part.shape[-2]], part)
        total = summed if total is None else np.add(total, summed, out=total)
    return np.zeros((*x.shape[:-2], x.shape[-1]), x.dtype) if total is None else total[..., 0, :]


REDUCTIONS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "sum": sum_elements,
    "max": lambda x: np.max(x, axis=-2),
    "min": lambda x: np.min(x, axis=-2),
    "norm": norm,
    "mean": lambda x: sum_elements(x) / x.shape[-2],
    "norm1": lambda x: sum_elements(np.abs(x)),
    "unit": unit,
    "direction": direction,
}


def apply_elementwise(operation: str, operands: Sequence[Value]) -> Value:
    """Return an operation element by element, of operands that broadcast."""
    if operation in UNARY:
        return UNARY[operation](operands[0])
    if operation in BINARY:
        return BINARY[operation](*operands)
    if operation == "where":
        return np.where(*operands)
    if operation == "clip":
        value, least, most = operands
        return np.minimum(np.maximum(value, least), most)
    combine = np.logical_and if operation == "and" else np.logical_or
    found = operands[0]
    for operand in operands[1:]:
        found = combine(found, operand)
    return found


def compute_constant(operation: str, operands: Sequence[Any]) -> float:
    """Return an operation on numbers and truth values, as a Python number or truth value."""
    with np.errstate(all="ignore"):
        found = apply_elementwise(operation, [one if isinstance(one, bool) else float(one) for one in operands])
    return bool(found) if np.asarray(found).dtype == np.bool_ else float(found)


def lift(value: Value) -> Value:
    """Return a number shaped to broadcast over the elements of vectors: (…, q, k) as (…, q, 1, k)."""
    return value[..., None, :] if isinstance(value, np.ndarray) and value.ndim else value


def dot(left: FloatArray, right: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Return Σ left·right over the elements of vectors: (…, q, k), from (…, q or 1, U, k or 1) each.

    :param left: vectors.
    :param right: vectors of the same size.
    :param out: array for the result if it has its shape; None for a new one.
    """
    for rows, columns in ((left, right), (right, left)):
        # One vector for each query, or one for all, beside one for each key: a product of matrices.
        if rows.ndim > 2 and rows.shape[-1] == 1 and (columns.ndim < 3 or columns.shape[-3] == 1):
            queries = rows[..., 0]
            keys = columns[..., 0, :, :] if columns.ndim > 2 else columns
            return _matmul(queries, keys, out)
        # One vector for each query, or for all, beside one for each pair.
        if rows.shape[-1] == 1:
            return np.matmul(rows.swapaxes(-1, -2), columns)[..., 0, :]
    return sum_elements(left * right)


def _matmul(left: FloatArray, right: FloatArray, out: FloatArray | None) -> FloatArray:
    shape = (*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1])
    return np.matmul(left, right, out=out if out is not None and out.shape == shape else None)


def multiply_matrix(matrix: FloatArray, vectors: FloatArray) -> FloatArray:
    """Return matrix · vector, (…, q, rows, k) from vectors (…, q, columns, k).

    :param matrix: (rows, columns) or (Hq, rows, columns).
    :param vectors: (…, q or 1, columns, k or 1).
    """
    if vectors.shape[-1] == 1 and vectors.ndim > 2:
        return np.matmul(vectors[..., 0], matrix.swapaxes(-1, -2))[..., None]
    return np.matmul(matrix if matrix.ndim == 2 else matrix[:, None], vectors)


def concatenate(parts: Sequence[FloatArray]) -> FloatArray:
    """Return vectors one after another, (…, q, U, k)."""
    common = np.broadcast_shapes(*((*part.shape[:-2], 1, part.shape[-1]) for part in parts))
    whole = [np.broadcast_to(part, (*common[:-2], part.shape[-2], common[-1])) for part in parts]
    return np.concatenate(whole, axis=-2)
