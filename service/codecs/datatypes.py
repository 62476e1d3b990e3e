"""The datatypes of raw tensors: what each format calls them, how their bytes lie, and what they are in the core."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["boolean", "integer", "float"]


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype; `wire` is little-endian whatever the machine, `dtype` the core's name of it.

    `name` is that of the Open Inference Protocol, `stored` that of safetensors.
    """

    name: str
    stored: str
    wire: np.dtype[Any]
    kind: Kind
    dtype: str | None = None

    def load(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return numbers to compute with; a view of `raw` where its bytes will do."""
        if self.name == "BF16":
            return (raw.astype(np.uint32) << 16).view(np.float32)
        if self.kind == "boolean":
            return raw != 0
        native = raw.astype(raw.dtype.newbyteorder("="), copy=False)
        # Behind JSON of any length tensors begin anywhere; the core multiplies aligned ones several times as fast.
        return native if native.flags.aligned else native.copy()

    def read(self, raw: memoryview, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the numbers of a tensor whose bytes are as many as its shape needs."""
        if not raw:
            return self.load(np.empty(shape, self.wire))
        return self.load(np.frombuffer(raw, self.wire).reshape(shape))

    def store(self, array: NDArray[Any]) -> memoryview:
        """Return the bytes of an array, row-major."""
        if self.name == "BF16":
            array = (np.ascontiguousarray(array, dtype=np.float32).view(np.uint32) >> 16).astype(self.wire)
        return np.ascontiguousarray(array, dtype=self.wire).reshape(-1).view(np.uint8).data


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
"""By name; BYTES is not among them, since nothing here is made of text."""

STORED: dict[str, Datatype] = {one.stored: one for one in DATATYPES.values()}
"""By the name that safetensors has for it; there are others for eighths and halves of a byte, and complex ones."""

BY_DTYPE = {one.dtype: one for one in DATATYPES.values() if one.dtype is not None}


@dataclass(frozen=True, slots=True)
class Raw:
    """An array that goes out as the bytes of its datatype."""

    array: NDArray[Any]
    datatype: Datatype

    @classmethod
    def of(cls, array: NDArray[Any]) -> "Raw":
        """Return an array in its own type."""
        return cls(array, BY_DTYPE.get(array.dtype.name) or DATATYPES[array.dtype.name.upper()])
