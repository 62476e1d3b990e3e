"""Datatypes of tensors: what each format calls them, how their bytes lie, and which NumPy type holds them.

NumPy has no bfloat16: its numbers are held in float32, and its bytes are the upper half of those of a float32.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["boolean", "integer", "float"]


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype.

    :param name: in the Open Inference Protocol V2: ``"FP32"``.
    :param safetensors_name: in a safetensors file: ``"F32"``.
    :param wire: NumPy type of the bytes, little-endian on every machine.
    :param dtype: name of the storage type of a call, ``"float32"``; None for integers and booleans, which are not one.
    """

    name: str
    safetensors_name: str
    wire: np.dtype[Any]
    kind: Kind
    dtype: str | None = None

    def load(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return numbers to compute with, aligned and in native byte order.

        :param raw: numbers of the type `wire`, any shape.  The result is a view of it if its bytes serve as they are.
        """
        # `np.asarray`, since operators turn an array of rank 0 into a scalar.
        if self.name == "BF16":
            return np.asarray(raw.astype(np.uint32) << 16).view(np.float32)
        if self.kind == "boolean":
            return np.asarray(raw != 0)
        native = raw.astype(raw.dtype.newbyteorder("="), copy=False)
        # Tensors begin anywhere behind JSON of any length; NumPy multiplies aligned numbers several times as fast.
        return native if native.flags.aligned else native.copy()

    def read(self, raw: memoryview, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the numbers of a tensor, as `load` does.

        :param raw: exactly the bytes that the shape needs.
        """
        if not raw:
            return self.load(np.empty(shape, self.wire))
        return self.load(np.frombuffer(raw, self.wire).reshape(shape))

    def store(self, array: NDArray[Any]) -> memoryview:
        """Return the bytes of an array whose numbers this datatype holds exactly, row-major.

        :param array: floats; or items of two bytes for BF16, the bits themselves.
        """
        if self.name == "BF16" and array.dtype.itemsize == self.wire.itemsize:
            array = array.view(self.wire)
        elif self.name == "BF16":
            array = (np.ascontiguousarray(array, dtype=np.float32).view(np.uint32) >> 16).astype(self.wire)
        return np.ascontiguousarray(array, dtype=self.wire).reshape(-1).view(np.uint8).data

    def round(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return floats rounded once to this datatype, as NumPy holds it; ±∞ for a finite number beyond its range."""
        if self.name == "BF16":
            return round_to_bfloat16(array)
        with np.errstate(over="ignore"):
            return array.astype(self.wire.newbyteorder("="))


DATATYPES: dict[str, Datatype] = {
    one.name: one
    for one in (
        Datatype("FP64", "F64", np.dtype("<f8"), "float", "float64"),
        Datatype("FP32", "F32", np.dtype("<f4"), "float", "float32"),
        Datatype("FP16", "F16", np.dtype("<f2"), "float", "float16"),
        Datatype("BF16", "BF16", np.dtype("<u2"), "float", "bfloat16"),
        Datatype("BOOL", "BOOL", np.dtype("u1"), "boolean"),
        Datatype("INT8", "I8", np.dtype("i1"), "integer"),
        Datatype("INT16", "I16", np.dtype("<i2"), "integer"),
        Datatype("INT32", "I32", np.dtype("<i4"), "integer"),
        Datatype("INT64", "I64", np.dtype("<i8"), "integer"),
        Datatype("UINT8", "U8", np.dtype("u1"), "integer"),
        Datatype("UINT16", "U16", np.dtype("<u2"), "integer"),
        Datatype("UINT32", "U32", np.dtype("<u4"), "integer"),
        Datatype("UINT64", "U64", np.dtype("<u8"), "integer"),
    )
}
"""By name in the protocol, whose BYTES is left out: no tensor of an attention call holds text."""

BY_SAFETENSORS_NAME: dict[str, Datatype] = {one.safetensors_name: one for one in DATATYPES.values()}
"""By name in safetensors files, whose complex numbers and floats below 16 bits are left out."""

BY_DTYPE: dict[str, Datatype] = {one.dtype: one for one in DATATYPES.values() if one.dtype is not None}
"""By storage type: float64, float32, float16 and bfloat16."""

BY_NUMPY_NAME: dict[str, Datatype] = BY_DTYPE | {
    "bool" if one.kind == "boolean" else one.name.lower(): one for one in DATATYPES.values() if one.dtype is None
}
"""By name of the NumPy type; ml_dtypes adds a bfloat16 to NumPy."""


@dataclass(frozen=True, slots=True)
class RawTensor:
    """An array to be sent as the bytes of a datatype that holds its numbers exactly."""

    array: NDArray[Any]
    datatype: Datatype

    @classmethod
    def of(cls, array: NDArray[Any]) -> "RawTensor":
        """Return an array in the datatype of its own NumPy type; raises KeyError if there is none."""
        return cls(array, BY_NUMPY_NAME[array.dtype.name])

    @property
    def nbytes(self) -> int:
        """Bytes on the wire."""
        return self.array.size * self.datatype.wire.itemsize

    def store(self) -> memoryview:
        """Return the bytes, row-major."""
        return self.datatype.store(self.array)


def round_to_bfloat16(array: NDArray[Any]) -> NDArray[np.float32]:
    """Return floats rounded to the 8 significant bits of bfloat16, ties to even, in float32.

    :param array: any floating type.  Rounds once from its precision: a detour through the nearest float32 would round
        twice.
    """
    # Only the bits of a NaN wrap around, and the last step replaces those.
    with np.errstate(over="ignore"):
        narrow = np.asarray(array.astype(np.float32))
        bits = narrow.view(np.uint32)
        if array.dtype.itemsize > narrow.itemsize:
            # Round to odd: cut towards zero and set the last bit where anything is lost, so that the second rounding
            # sees on which side of a tie the number was (Boldo & Melquiond 2008).
            wide = array.astype(np.float64, copy=False)
            bits = np.where(narrow == wide, bits, (bits - (np.abs(narrow) > np.abs(wide))) | 1).astype(np.uint32)
        nearest = bits + (0x7FFF + ((bits >> 16) & 1))
    upper = np.where(np.isnan(narrow), bits | 0x400000, nearest) & np.uint32(0xFFFF0000)
    return np.asarray(upper.astype(np.uint32)).view(np.float32)
