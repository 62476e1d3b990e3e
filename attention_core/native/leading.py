"""Where the numbers of each matrix begin: leading axes that broadcast or share heads, without copies."""

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.native.library import address_of


class Starts(NamedTuple):
    """Where each matrix begins in an array, in elements.

    The address is valid for as long as `offsets` is held: the cache of `starts` may drop it.
    """

    offsets: NDArray[np.int64]
    """(matrices)."""
    address: int
    """Address of `offsets`."""


class Operand(NamedTuple):
    """An array of which a kernel reads one part for each matrix; see `KeptArrays`."""

    array: NDArray[Any]
    starts: Starts
    strides: tuple[int, ...]
    """Distances along the axes of a part, in elements; 0 along one that is broadcast."""


class KeptArrays:
    """Arrays that stay in memory for as long as a request that points into them."""

    def __init__(self) -> None:
        self._arrays: list[NDArray[Any]] = []

    def keep(self, array: NDArray[Any]) -> int:
        """Keep an array, and return its address."""
        self._arrays.append(array)
        return address_of(array)

    def keep_starts(self, part: Operand, skipped: int = 0) -> int:
        """Keep where the matrices of an operand begin, and return the address of that.

        :param part: the operand.
        :param skipped: elements of each matrix in front of those that the array has.
        """
        if skipped:
            return self.keep(part.starts.offsets - skipped)
        self._arrays.append(part.starts.offsets)
        return part.starts.address


@lru_cache(maxsize=1024)
def starts(leading: tuple[int, ...], shape: tuple[int, ...], strides: tuple[int, ...], repeats: int) -> Starts:
    """Return where each matrix begins.

    :param leading: leading axes of the scores.
    :param shape: leading axes of the array, which broadcast right-aligned to `leading`.
    :param strides: distances along these axes, in elements.
    :param repeats: consecutive heads, on axis 1 of `leading`, that share one of the array; else 1.
    """
    offsets = np.zeros(leading, np.int64)
    surplus = len(leading) - len(shape)
    for axis, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        if size > 1:
            index = np.arange(leading[axis + surplus])
            if repeats > 1 and axis + surplus == 1:
                index //= repeats
            offsets += (index * stride).reshape(-1, *(1,) * (len(leading) - surplus - axis - 1))
    flat = np.ascontiguousarray(offsets.reshape(max(1, prod(leading))))
    flat.flags.writeable = False
    return Starts(flat, address_of(flat))


def operand(array: NDArray[Any], leading: tuple[int, ...], part_rank: int, repeats: int = 1) -> Operand:
    """Return an array as a kernel reads it; copied only where an element is not whole steps from the next.

    :param array: axes that broadcast to `leading`, then those of a part.
    :param leading: leading axes of the scores.
    :param part_rank: number of axes of a part; the last of them, if any, is contiguous.
    :param repeats: consecutive heads that share one of the array; else 1.
    """
    size = array.itemsize
    if not array.flags.aligned or any(stride % size for stride in array.strides):
        array = np.ascontiguousarray(array)
    split = array.ndim - part_rank
    strides = tuple(
        0 if length == 1 else stride // size for length, stride in zip(array.shape, array.strides, strict=True)
    )
    return Operand(array, starts(leading, array.shape[:split], strides[:split], repeats), strides[split:])


def contiguous(array: NDArray[Any]) -> NDArray[Any]:
    """Return vectors (…, n, features) as a kernel reads them: features side by side, elements whole steps apart."""
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    size = array.itemsize
    if (array.shape[-1] > 1 and array.strides[-1] != size) or not array.flags.aligned:
        return np.ascontiguousarray(array)
    return np.ascontiguousarray(array) if any(stride % size for stride in array.strides) else array


def per_matrix(value: Any, leading: tuple[int, ...]) -> NDArray[np.float64]:
    """Return a number, or one for each query head, as one for each matrix, (matrices)."""
    if np.ndim(value) == 0:
        return np.full(max(1, prod(leading)), value, np.float64)
    per_head = np.asarray(value, np.float64).reshape(-1)
    return np.ascontiguousarray(np.broadcast_to(per_head, leading).reshape(-1))
