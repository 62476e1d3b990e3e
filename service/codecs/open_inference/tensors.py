"""Inputs of a request: the declared shape, datatype and size are checked against the data before it is read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from math import inf, nan, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core import CallError
from attention_core.dtypes import DTYPES
from attention_wire.datatypes import DATATYPES, Datatype
from attention_wire.open_inference import BINARY_SIZE
from service.codecs import json
from service.codecs.open_inference.places import advise_place
from service.codecs.shapes import require_shape
from service.errors import InvalidRequest, MalformedBody
from service.schemas.open_inference import InputTensor
from service.schemas.tensors import MAX_INTEGER, describe

NOT_FINITE = {"NaN": nan, "Infinity": inf, "-Infinity": -inf}


@dataclass(frozen=True, slots=True)
class Received:
    """An input that was read; `flat`: its data is one list although it has another shape; `raw`: it came as bytes."""

    position: int
    array: NDArray[Any]
    datatype: Datatype
    raw: bool
    flat: bool

    def pointer(self, index: tuple[int, ...], *, about_shape: bool) -> str:
        """Return where a client wrote one element, or the whole."""
        place = f"/inputs/{self.position}"
        if about_shape and not index:
            return f"{place}/shape"
        if self.raw:
            return place
        inside = len(index) == self.array.ndim and all(
            i < size for i, size in zip(index, self.array.shape, strict=True)
        )
        steps: tuple[int, ...] = index
        if self.flat:
            steps = (int(np.ravel_multi_index(index, self.array.shape)),) if inside and index else ()
        return "".join((f"{place}/data", *(f"/{step}" for step in steps)))


def read_inputs(tensors: list[InputTensor], raw: memoryview) -> Iterator[Received]:
    """Yield each input in turn; raises MalformedBody unless the raw bytes are exactly those that they announce."""
    offset = 0
    for position, tensor in enumerate(tensors):
        place = f"inputs[{position}]"
        shape, datatype = _shape(tensor.shape, place), _datatype(tensor.datatype, place)
        size = _binary_size(tensor.parameters, place)
        if (size is None) == (tensor.data is None):
            received = "neither" if size is None else "both"
            raise MalformedBody(
                f"{place}: expected either data or parameters.{BINARY_SIZE}; received {received}. Send one of them."
            )
        if size is None:
            array, flat = _from_json(tensor.data, shape, datatype, place, position)
            yield Received(position, array, datatype, raw=False, flat=flat)
        else:
            array = _from_bytes(raw[offset : offset + size], size, shape, datatype, place)
            offset += size
            yield Received(position, array, datatype, raw=True, flat=False)
    if offset != len(raw):
        raise MalformedBody(
            f"expected {offset} bytes behind the JSON, the sum of every {BINARY_SIZE}; received {len(raw)}. "
            "Send the raw tensors in the order of the inputs, and nothing after them."
        )


def _shape(value: Any, place: str) -> tuple[int, ...]:
    return require_shape(value.tolist() if isinstance(value, np.ndarray) else value, f"{place}.shape")


def _datatype(name: str, place: str) -> Datatype:
    if name not in DATATYPES:
        advice = advise_place(name, DATATYPES, "dtype") or "Use one of these."
        raise MalformedBody(
            f"{place}.datatype: expected one of {', '.join(DATATYPES)}; received {name[:40]!r}. {advice}"
        )
    return DATATYPES[name]


def _binary_size(parameters: Mapping[str, Any] | None, place: str) -> int | None:
    size = (parameters or {}).get(BINARY_SIZE)
    if size is not None and (type(size) is not int or size < 0):
        raise MalformedBody(
            f"{place}.parameters.{BINARY_SIZE}: expected a number of bytes; received {describe(size)}. "
            "Send the size of the raw tensor."
        )
    return size


def _from_bytes(raw: memoryview, size: int, shape: tuple[int, ...], datatype: Datatype, place: str) -> NDArray[Any]:
    expected = prod(shape) * datatype.wire.itemsize
    if size != expected:
        raise MalformedBody(
            f"{place}: expected {BINARY_SIZE} {expected}, {datatype.wire.itemsize} bytes for each number of shape "
            f"{list(shape)}; received {size}. Correct the size or the shape."
        )
    if len(raw) < size:
        raise MalformedBody(
            f"{place}: expected {size} bytes of this tensor behind the JSON; received {len(raw)}. Send all of them."
        )
    return datatype.read(raw, shape)


def _from_json(
    data: Any, shape: tuple[int, ...], datatype: Datatype, place: str, position: int
) -> tuple[NDArray[Any], bool]:
    """Return the array that the numbers spell out, and whether they came as one flat list."""
    if shape == () and isinstance(data, str | int | float):
        # A tensor of rank 0 has no brackets: its data is one bare element.
        data = [data]
    if isinstance(data, json.Extended):
        # V2 writes NaN and ±∞ as strings, see NOT_FINITE.
        data = data.lists()
    spelled = json.as_array(data) if isinstance(data, list) else data
    if isinstance(spelled, np.ndarray):
        flat, nesting = spelled.reshape(-1), spelled.shape
    else:
        leaves, nesting = _flattened(data, place)
        flat = _numbers(leaves, nesting, datatype, place, position)
    if len(flat) != prod(shape):
        raise MalformedBody(
            f"{place}.data: expected {prod(shape)} elements, those of shape {list(shape)}; received {len(flat)}. "
            "Correct the data or the shape."
        )
    if nesting not in ((len(flat),), shape):
        raise MalformedBody(
            f"{place}.data: expected one flat list, or lists nested as the shape {list(shape)}; received lists nested "
            f"as {list(nesting)}. Make both the same, or send one flat list."
        )
    numbers = _typed(flat.reshape(shape), datatype, place)
    received = Received(position, numbers, datatype, raw=False, flat=nesting != shape)
    return _rounded(received), received.flat


def _flattened(data: Any, place: str) -> tuple[list[Any], tuple[int, ...]]:
    """Return the leaves of nested lists and how they nest."""
    if not isinstance(data, list):
        raise MalformedBody(f"{place}.data: expected a list; received {describe(data)}. Wrap it in brackets.")
    nesting, level = [len(data)], data
    while level and all(isinstance(item, list) for item in level):
        lengths = set(map(len, level))
        if len(lengths) > 1:
            raise MalformedBody(
                f"{place}.data: expected rows of one length; received {sorted(lengths)}. Complete them."
            )
        nesting.append(lengths.pop())
        level = list(chain.from_iterable(level))
    return level, tuple(nesting)


def _numbers(
    leaves: list[Any], nesting: tuple[int, ...], datatype: Datatype, place: str, position: int
) -> NDArray[Any]:
    """Return the array of leaves that the JSON codec left as a list: no leaf, or some that are not finite."""
    numbers = []
    for leaf in leaves:
        if isinstance(leaf, str) and leaf in NOT_FINITE and datatype.kind == "float":
            numbers.append(NOT_FINITE[leaf])
        elif type(leaf) in (int, float) and not abs(leaf) > np.finfo(np.float64).max:
            numbers.append(float(leaf))
        elif isinstance(leaf, (int, float)) and not isinstance(leaf, bool) and datatype.kind == "float":
            index = np.unravel_index(len(numbers), nesting)
            detail = "expected a number that float64 can hold; received a larger one. Scale it down."
            steps = "".join(f"/{int(step)}" for step in index)
            raise InvalidRequest.at(f"/inputs/{position}/data{steps}", detail)
        else:
            raise _wrong_element(len(numbers), leaf, datatype, place)
    return np.array(numbers, dtype=np.bool_ if not numbers and datatype.kind == "boolean" else np.float64)


def _typed(array: NDArray[Any], datatype: Datatype, place: str) -> NDArray[Any]:
    """Return the array in its datatype; raises MalformedBody for an element that the datatype cannot hold."""
    if datatype.kind == "boolean":
        if array.dtype != np.bool_:
            raise _wrong_element(0, array.flat[0].item(), datatype, place)
        return array
    if array.dtype == np.bool_:
        raise _wrong_element(0, bool(array.flat[0]), datatype, place)
    if datatype.kind == "float":
        return array.astype(np.float64, copy=False)
    bounds = np.iinfo(datatype.wire)
    wrong = (array != np.floor(array)) | (array < bounds.min) | (array > bounds.max)
    if array.dtype.kind == "f":
        # A float64 of this size may have been the integer beside it in the JSON.
        wrong |= np.abs(array) >= MAX_INTEGER
    wrong = np.flatnonzero(wrong)
    if len(wrong):
        raise _wrong_element(int(wrong[0]), array.flat[wrong[0]].item(), datatype, place)
    return array.astype(datatype.wire.newbyteorder("="))


def _rounded(received: Received) -> NDArray[Any]:
    """Return floats as their datatype holds them; raises InvalidRequest where one is too large for it."""
    if received.datatype.dtype is None:
        return received.array
    try:
        return DTYPES[received.datatype.dtype].load(received.array, ())
    except CallError as error:
        index = tuple(step for step in error.path if isinstance(step, int))
        place = received.pointer(index, about_shape=False)
        raise InvalidRequest.at(place, error.detail) from None


def _wrong_element(index: int, leaf: Any, datatype: Datatype, place: str) -> MalformedBody:
    expected, advice = (
        ("true and false", "Send booleans.")
        if datatype.kind == "boolean"
        else (_range_of(datatype), "Correct the data or the datatype; write integers without a fraction.")
    )
    return MalformedBody(f"{place}.data: expected {expected}; received {describe(leaf)} as element {index}. {advice}")


def _range_of(datatype: Datatype) -> str:
    """Return in words which numbers a datatype holds."""
    if datatype.kind == "float":
        return f"{datatype.name} numbers"
    bounds = np.iinfo(datatype.wire)
    return f"{datatype.name} numbers, integers from {bounds.min} to {bounds.max}"
