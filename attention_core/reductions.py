"""Many numbers made into few: products, sums over broadcast axes, and whether all are finite."""

from math import isfinite

import numpy as np

from attention_core.arrays import BoolArray, FloatArray

FEW = 4096
"""Flags that are looked through as bytes sooner than NumPy begins to count them."""


def every(flags: BoolArray) -> bool:
    """Whether all flags are set; of a small array a quarter of the time that ``flags.all()`` takes."""
    if flags.size <= FEW:
        return b"\0" not in flags.tobytes()
    return int(np.count_nonzero(flags)) == flags.size


def sum_to(array: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Sum an array down to a shape that broadcasts, right-aligned, to its own: how a gradient finds its way back."""
    surplus = array.ndim - len(shape)
    summed = array.sum(axis=tuple(range(surplus))) if surplus else array
    stretched = tuple(axis for axis, size in enumerate(shape) if size == 1 and summed.shape[axis] != 1)
    return summed.sum(axis=stretched, keepdims=True) if stretched else summed


def product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Multiply matrices, (…, m, n) by (…, n, p); for only two of them `dot` has less to decide."""
    if left.ndim == right.ndim == 2:
        multiplied: FloatArray = np.dot(left, right)
        return multiplied
    return np.matmul(left, right)


def all_finite(array: FloatArray) -> bool:
    """Whether no number is NaN or infinite."""
    if array.size <= FEW:
        numbers = array.ravel()
        # A sum of squares is finite only if they are; where it overflows each number is looked at.
        if isfinite(numbers.dot(numbers)):
            return True
    return every(np.isfinite(array))
