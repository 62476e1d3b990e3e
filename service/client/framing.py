"""Arrays to raw tensors of the Open Inference Protocol V2, and back.

A body is JSON and behind it the tensors, little-endian, row-major, unpadded, in the order in which the JSON names them;
the header says how long the JSON is.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.client.errors import InvalidArgument, UnreadableAnswer

HEADER = "Inference-Header-Content-Length"

BINARY_SIZE = "binary_data_size"

WIRE: dict[str, np.dtype[Any]] = {
    "FP64": np.dtype("<f8"),
    "FP32": np.dtype("<f4"),
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "BOOL": np.dtype("?"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
}
"""Datatypes and how their bytes lie; NumPy has no bfloat16, so that is the upper half of a float32."""

FLOATS = {"float64": "FP64", "float32": "FP32", "float16": "FP16", "bfloat16": "BF16"}
"""Number types of the service and their datatypes."""

DATATYPES = {str(dtype): name for name, dtype in WIRE.items() if name != "BF16"} | {"bfloat16": "BF16"}
"""Datatypes by the name of the NumPy type; bfloat16 is a type that other packages add to NumPy."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An array ready to be sent."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    raw: memoryview

    def head(self) -> dict[str, Any]:
        """What the JSON says of it."""
        sizes = {BINARY_SIZE: self.raw.nbytes}
        return {"name": self.name, "shape": self.shape, "datatype": self.datatype, "parameters": sizes}


def as_array(value: ArrayLike, pointer: str) -> NDArray[Any]:
    """Return an array of numbers or booleans in the byte order of this machine; raises InvalidArgument."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InvalidArgument(pointer, f"expected rows of equal length; received {error}. Pad them.") from None
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.name not in DATATYPES:
        if array.dtype.kind != "f":
            raise InvalidArgument(
                pointer, f"expected numbers or booleans; received an array of {array.dtype}. Convert it."
            )
        return array.astype(np.float64)
    return array


def tensor(name: str, array: NDArray[Any]) -> Tensor:
    """Return an array as it is."""
    datatype = DATATYPES[array.dtype.name]
    return Tensor(name, datatype, array.shape, _bytes_of(array, WIRE[datatype]))


def rounded(name: str, array: NDArray[Any], dtype: str, pointer: str) -> Tensor:
    """Return an array rounded once to a number type; raises InvalidArgument for a finite number beyond it."""
    datatype = FLOATS[dtype]
    if array.dtype.name == dtype:
        return tensor(name, array)
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    if dtype == "bfloat16":
        stored = _to_bfloat16(array)
        infinite = (stored & 0x7FFF) == 0x7F80
    else:
        with np.errstate(over="ignore"):
            stored = array.astype(dtype)
        infinite = np.isinf(stored)
    beyond = infinite & np.isfinite(array.astype(np.float64, copy=False))
    if beyond.any():
        index = tuple(np.argwhere(beyond)[0].tolist())
        place = "".join((pointer, *(f"/{step}" for step in index)))
        raise InvalidArgument(
            place, f"expected a number within the range of {dtype}; received {array[index]}. Choose a wider dtype."
        )
    return Tensor(name, datatype, array.shape, _bytes_of(stored, WIRE[datatype]))


def held(numbers: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """Return numbers rounded to a number type, as NumPy holds it; a bfloat16 in a float32."""
    return _loaded(_to_bfloat16(numbers), "BF16") if dtype == "bfloat16" else numbers.astype(dtype)


def _bytes_of(array: NDArray[Any], wire: np.dtype[Any]) -> memoryview:
    contiguous = np.ascontiguousarray(array)
    if contiguous.dtype.name == "bfloat16":
        contiguous = contiguous.view(np.uint16)
    return contiguous.astype(wire, copy=False).reshape(-1).view(np.uint8).data


def _to_bfloat16(array: NDArray[Any]) -> NDArray[np.uint16]:
    """Round to the 8 significant bits of a bfloat16, ties to even, in one step from whatever precision comes in."""
    if array.dtype.itemsize <= 2 or array.dtype == np.float32:
        narrow = array.astype(np.float32)
        bits = narrow.view(np.uint32)
    else:
        # To float32 with the last bit set wherever anything is cut off: from there the nearest is the nearest of all.
        with np.errstate(over="ignore"):
            narrow = array.astype(np.float32)
        bits, wide = narrow.view(np.uint32), array.astype(np.float64)
        bits = np.where(narrow == wide, bits, (bits - (np.abs(narrow) > np.abs(wide))) | 1).astype(np.uint32)
    upper = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    return np.where(np.isnan(narrow), (bits >> 16) | 0x40, upper).astype(np.uint16)


def frame(document: Mapping[str, Any], tensors: Iterable[Tensor]) -> tuple[bytes, dict[str, str]]:
    """Return a body and its header."""
    sent = list(tensors)
    head = json.dumps({**document, "inputs": [one.head() for one in sent]}).encode()
    return b"".join((head, *(one.raw for one in sent))), {HEADER: str(len(head))}


def unframe(content: bytes, header: str | None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the JSON of an answer and its arrays; raises UnreadableAnswer.

    The arrays are copies: aligned, writable, and none of them keeps the whole body alive.
    """
    try:
        length = int(header or "")
        document = json.loads(content[:length])
        arrays, offset = {}, length
        for output in document["outputs"]:
            name, datatype, shape = output["name"], output["datatype"], output["shape"]
            count, size = prod(shape), output["parameters"][BINARY_SIZE]
            if size != count * WIRE[datatype].itemsize or offset + size > len(content):
                raise UnreadableAnswer(f"expected {size} bytes of {name}; received an answer of {len(content)}.")
            stored = np.frombuffer(content, WIRE[datatype], count, offset) if count else np.empty(0, WIRE[datatype])
            arrays[name] = _loaded(stored, datatype).reshape(shape)
            offset += size
        if offset != len(content):
            raise UnreadableAnswer(f"expected {offset} bytes, JSON and every tensor; received {len(content)}.")
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableAnswer(f"expected JSON and raw tensors behind it; received something else: {error!r}") from None
    return document, arrays


def _loaded(stored: NDArray[Any], datatype: str) -> NDArray[Any]:
    if datatype == "BF16":
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(stored.dtype.newbyteorder("="))
