"""How a representation writes the numbers of a result: as decimals, or as raw bytes."""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from attention_wire.datatypes import BY_DTYPE, RawTensor
from service.codecs.decimals import BYTES_PER_NUMBER, rounded, shortest

Array = NDArray[Any]


class Numbers(Protocol):
    """Writes the arrays of a result as values of a document for the codec that it belongs to."""

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
        """Return the approximate bytes of a number."""
        ...


class Decimal(NamedTuple):
    """Numbers for JSON: the shortest that read back to the same value in `dtype`, or rounded to `decimals` places."""

    dtype: str
    decimals: int | None = None

    def of_dtype(self, array: Array) -> Array:
        """Return numbers that a JSON writer spells with the digits wanted."""
        return shortest(array, self.dtype) if self.decimals is None else rounded(array, self.decimals)

    def of_compute_type(self, array: Array) -> Array:
        """Return the numbers as they are, or rounded; the writer knows the shortest digits of float32 and float64."""
        return array if self.decimals is None else rounded(array, self.decimals)

    def indices(self, array: Array) -> list[Any]:
        """Return nested lists with None for none."""
        spelt = array.astype(object)
        spelt[array < 0] = None
        nested: list[Any] = spelt.tolist()
        return nested

    def bytes_per_number(self) -> int:
        """Return the approximate bytes of a number with its comma."""
        return BYTES_PER_NUMBER[self.dtype]


class Binary(NamedTuple):
    """Numbers for raw tensors, every bit as computed; nothing is rounded to decimals."""

    dtype: str

    def of_dtype(self, array: Array) -> RawTensor:
        """Return the array with its datatype, which NumPy may not have."""
        return RawTensor(array, BY_DTYPE[self.dtype])

    def of_compute_type(self, array: Array) -> RawTensor:
        """Return the array in its own type."""
        return RawTensor.of(array)

    def indices(self, array: Array) -> RawTensor:
        """Return the integers as they are."""
        return RawTensor.of(array.astype(np.int64, copy=False))

    def bytes_per_number(self) -> int:
        """Return the bytes of a number."""
        return BY_DTYPE[self.dtype].wire.itemsize
