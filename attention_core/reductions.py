"""Many numbers made into few: products, sums over broadcast axes, and whether all are finite."""

from functools import lru_cache
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray


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


SMALL = 4096
"""Up to so many numbers a product with zeros is faster than looking at each."""


def all_finite(array: FloatArray) -> bool:
    """Whether no number is NaN or infinite."""
    size = array.size
    if 0 < size <= SMALL:
        # 0·∞ and 0·NaN are NaN, which counts as true, and everything else adds up to 0.
        return not np.vdot(array, _zeros(size, array.dtype))
    return bool(np.isfinite(array).all())


@lru_cache(maxsize=64)
def _zeros(size: int, dtype: np.dtype[Any]) -> FloatArray:
    zeros: FloatArray = np.zeros(size, dtype=dtype)
    zeros.flags.writeable = False
    return zeros
