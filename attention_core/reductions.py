"""Sums over broadcast axes, and the test for finite numbers."""

from math import isfinite

import numpy as np

from attention_core.arrays import FloatArray


def sum_to_shape(array: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Sum an array over its broadcast axes: the backward pass of broadcasting `shape` to ``array.shape``.

    :param array: any shape to which `shape` broadcasts, right-aligned.
    :param shape: shape of the result.
    """
    surplus = array.ndim - len(shape)
    summed = array.sum(axis=tuple(range(surplus))) if surplus else array
    stretched = tuple(axis for axis, size in enumerate(shape) if size == 1 and summed.shape[axis] != 1)
    return summed.sum(axis=stretched, keepdims=True) if stretched else summed


def all_finite(array: FloatArray) -> bool:
    """Return whether no number is NaN or infinite."""
    # A finite sum proves it, in one pass without a temporary; a sum that overflows proves nothing.
    return isfinite(np.add.reduce(array, axis=None)) or bool(np.isfinite(array).all())
