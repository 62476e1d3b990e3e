"""Sums over the axes along which something was broadcast: how a gradient finds back to the shape it was sent in."""

from attention_core.arrays import FloatArray


def sum_to(array: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Sum an array down to a shape that broadcasts, right-aligned, to its own."""
    surplus = array.ndim - len(shape)
    summed = array.sum(axis=tuple(range(surplus))) if surplus else array
    stretched = tuple(axis for axis, size in enumerate(shape) if size == 1 and summed.shape[axis] != 1)
    return summed.sum(axis=stretched, keepdims=True) if stretched else summed
