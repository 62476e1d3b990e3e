"""How the numbers of a result leave: as decimals in JSON, or as the bytes that they are."""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from service.codecs.datatypes import BY_DTYPE, Raw
from service.codecs.decimals import BYTES_PER_NUMBER, rounded, shortest

Array = NDArray[Any]


class Numbers(Protocol):
    """One of the ways; each returns what may stand in a document that goes to the codec it belongs to."""

    def of_dtype(self, array: Array) -> Any:
        """Return an array in the dtype of the call."""
        ...

    def of_compute_type(self, array: Array) -> Any:
        """Return an array in the type that was computed in."""
        ...

    def indices(self, array: Array) -> Any:
        """Return indices, of which −1 is none."""
        ...

    def bytes_per_number(self) -> int:
        """Return about how many bytes a number takes."""
        ...


class Decimal(NamedTuple):
    """Numbers for JSON: as short as they read back in `dtype`, or rounded to so many `decimals`."""

    dtype: str
    decimals: int | None = None

    def of_dtype(self, array: Array) -> Array:
        """Return numbers that are written with few digits."""
        return shortest(array, self.dtype) if self.decimals is None else rounded(array, self.decimals)

    def of_compute_type(self, array: Array) -> Array:
        """Return the numbers; their writer knows the digits of this type."""
        return array if self.decimals is None else rounded(array, self.decimals)

    def indices(self, array: Array) -> list[Any]:
        """Return nested lists with None for none."""
        spelt = array.astype(object)
        spelt[array < 0] = None
        nested: list[Any] = spelt.tolist()
        return nested

    def bytes_per_number(self) -> int:
        """Return about how many digits one has."""
        return BYTES_PER_NUMBER[self.dtype]


class Binary(NamedTuple):
    """Numbers for raw tensors, every bit as computed; nothing is rounded to decimals."""

    dtype: str

    def of_dtype(self, array: Array) -> Raw:
        """Return the array with its datatype, which NumPy may not have."""
        return Raw(array, BY_DTYPE[self.dtype])

    def of_compute_type(self, array: Array) -> Raw:
        """Return the array in its own type."""
        return Raw.of(array)

    def indices(self, array: Array) -> Raw:
        """Return the integers as they are."""
        return Raw.of(array.astype(np.int64, copy=False))

    def bytes_per_number(self) -> int:
        """Return how many one takes."""
        return BY_DTYPE[self.dtype].wire.itemsize
