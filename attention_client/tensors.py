"""The arrays of a caller as tensors, and the frames of the Open Inference Protocol V2 around them."""

import json
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attention_client.errors import InvalidArgument, UnreadableAnswer
from attention_wire.datatypes import BY_DTYPE, BY_NUMPY_NAME, DATATYPES, RawTensor
from attention_wire.open_inference import BINARY_SIZE, HEADER, describe_tensor, json_length


def as_array(value: ArrayLike, pointer: str) -> NDArray[Any]:
    """Return an array of numbers or booleans in native byte order.

    :param pointer: JSON Pointer to the argument.

    Raises InvalidArgument for rows of unequal length, and for elements that are neither numbers nor booleans.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InvalidArgument(pointer, f"expected rows of equal length; received {error}. Pad them.") from None
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.name not in BY_NUMPY_NAME:
        if array.dtype.kind != "f":
            raise InvalidArgument(
                pointer, f"expected numbers or booleans; received an array of {array.dtype}. Convert it."
            )
        return array.astype(np.float64)
    return array


def round_tensor(array: NDArray[Any], dtype: str, pointer: str) -> RawTensor:
    """Return an array rounded once to a number type.

    :param dtype: float64, float32, float16 or bfloat16.
    :param pointer: JSON Pointer to the argument.

    Raises InvalidArgument for a finite number beyond the range of the type.
    """
    datatype = BY_DTYPE[dtype]
    if array.dtype.name == dtype:
        return RawTensor(array, datatype)
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    rounded = datatype.round(array)
    overflow = np.isinf(rounded) & np.isfinite(array.astype(np.float64, copy=False))
    if overflow.any():
        index = tuple(np.argwhere(overflow)[0].tolist())
        raise InvalidArgument(
            "".join((pointer, *(f"/{step}" for step in index))),
            f"expected a number within the range of {dtype}; received {array[index]}. Choose a wider dtype.",
        )
    return RawTensor(rounded, datatype)


def frame(document: Mapping[str, Any], inputs: Sequence[tuple[str, RawTensor]]) -> tuple[bytes, dict[str, str]]:
    """Return the body of an inference and the header that belongs to it.

    :param document: members of the JSON beside the inputs.
    :param inputs: names and tensors, in the order in which they are sent.
    """
    raw = [tensor.store() for _, tensor in inputs]
    described = [
        describe_tensor(name, tensor.array.shape, tensor.datatype, len(data))
        for (name, tensor), data in zip(inputs, raw, strict=True)
    ]
    head = json.dumps({**document, "inputs": described}).encode()
    return b"".join((head, *raw)), {HEADER: str(len(head))}


def unframe(content: bytes, header: str | None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the JSON of an answer and its outputs by name.

    :param header: the value of `HEADER`.

    The arrays are copies: aligned, writable, and independent of the body.  Raises UnreadableAnswer.
    """
    length = json_length(header)
    if length is None:
        raise UnreadableAnswer(f"expected the length of the JSON in {HEADER}; received {header!r}.")
    try:
        document = json.loads(content[:length])
        arrays, offset = {}, length
        for output in document["outputs"]:
            name, datatype, shape = output["name"], DATATYPES[output["datatype"]], tuple(output["shape"])
            size = output["parameters"][BINARY_SIZE]
            end = offset + size
            if size != prod(shape) * datatype.wire.itemsize or end > len(content):
                raise UnreadableAnswer(f"expected {size} bytes of {name}; received an answer of {len(content)}.")
            array = datatype.read(memoryview(content)[offset:end], shape)
            arrays[name] = array if array.flags.writeable else array.copy()
            offset = end
        if offset != len(content):
            raise UnreadableAnswer(f"expected {offset} bytes, JSON and every tensor; received {len(content)}.")
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableAnswer(f"expected JSON and raw tensors behind it; received something else: {error!r}") from None
    return document, arrays
