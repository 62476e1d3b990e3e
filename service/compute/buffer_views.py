"""Numbers of a request as they were sent: parts of its raw bytes, and arrays that a call uses unchanged."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BufferView:
    """The part of a buffer of raw bytes that holds the numbers of one tensor."""

    offset: int
    """In bytes."""
    shape: Shape
    dtype: np.dtype[Any]

    def read(self, raw: memoryview) -> FloatArray:
        """Return the numbers; uncopied where they are aligned."""
        array: FloatArray = np.frombuffer(raw, self.dtype, prod(self.shape), self.offset).reshape(self.shape)
        return array if array.flags.aligned else array.copy()


def same_numbers(used: FloatArray | None, sent: FloatArray | None, *, as_sent: bool) -> bool:
    """Return whether a call uses a vector as it was sent: not rotated, joined, unpacked or rounded.

    :param as_sent: whether the axes have the order in which they were sent; else axes 1 and 2 are exchanged.
    """
    if used is None or sent is None:
        return used is sent
    if not as_sent:
        used = used.swapaxes(1, 2)
    return used.shape == sent.shape and used.dtype == sent.dtype and np.shares_memory(used, sent)
