"""One input of a request: what it declares, held against what it holds, and only then read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from math import inf, nan, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core import CallError
from attention_core.dtypes import DTYPES
from service.codecs import json
from service.codecs.datatypes import DATATYPES, Datatype
from service.codecs.shapes import require_shape
from service.errors import InvalidRequest, MalformedBody, Violation
from service.schemas.open_inference import InputTensor
from service.schemas.tensors import describe

NOT_FINITE = {"NaN": nan, "Infinity": inf, "-Infinity": -inf}

BINARY_SIZE = "binary_data_size"


@dataclass(frozen=True, slots=True)
class Received:
    """An input that was read; `flat` when its data is one list although it has another shape, `raw` without any."""

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
        raise MalformedBody(
            f"{place}.datatype: expected one of {', '.join(DATATYPES)}; received {name[:40]!r}. Use one of these."
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
    if isinstance(data, json.Extended):
        # This protocol spells numbers that JSON does not have in its own way.
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
    """Return what no array of the JSON codec could hold: nothing, or floats that are not finite."""
    numbers = []
    for leaf in leaves:
        if isinstance(leaf, str) and leaf in NOT_FINITE and datatype.kind == "float":
            numbers.append(NOT_FINITE[leaf])
        elif type(leaf) in (int, float) and not abs(leaf) > np.finfo(np.float64).max:
            numbers.append(float(leaf))
        elif isinstance(leaf, (int, float)) and not isinstance(leaf, bool):
            index = np.unravel_index(len(numbers), nesting)
            detail = "expected a number that float64 can hold; received a larger one. Scale it down."
            steps = "".join(f"/{int(step)}" for step in index)
            raise InvalidRequest([Violation(f"/inputs/{position}/data{steps}", detail, "invalid-request")])
        else:
            raise _wrong_element(len(numbers), leaf, datatype, place)
    return np.array(numbers, dtype=np.bool_ if not numbers and datatype.kind == "boolean" else np.float64)


def _typed(array: NDArray[Any], datatype: Datatype, place: str) -> NDArray[Any]:
    """Return the array as what its datatype promises; raises MalformedBody where it does not keep the promise."""
    if datatype.kind == "boolean":
        if array.dtype != np.bool_:
            raise _wrong_element(0, array.flat[0].item(), datatype, place)
        return array
    if array.dtype == np.bool_:
        raise _wrong_element(0, bool(array.flat[0]), datatype, place)
    if datatype.kind == "float":
        return array.astype(np.float64, copy=False)
    bounds = np.iinfo(datatype.wire)
    wrong = np.flatnonzero((array != np.floor(array)) | (array < bounds.min) | (array > bounds.max))
    if len(wrong):
        raise _wrong_element(int(wrong[0]), array.flat[wrong[0]].item(), datatype, place)
    return array.astype(np.int64)


def _rounded(received: Received) -> NDArray[Any]:
    """Return floats as their datatype holds them; raises InvalidRequest where one is too large for it."""
    if received.datatype.dtype is None:
        return received.array
    try:
        return DTYPES[received.datatype.dtype].load(received.array, ())
    except CallError as error:
        index = tuple(step for step in error.path if isinstance(step, int))
        place = received.pointer(index, about_shape=False)
        raise InvalidRequest([Violation(place, error.detail, "invalid-request")]) from None


def _wrong_element(index: int, leaf: Any, datatype: Datatype, place: str) -> MalformedBody:
    expected, advice = (
        ("true and false", "Send booleans.")
        if datatype.kind == "boolean"
        else (f"{datatype.name} numbers", "Correct the data or the datatype.")
    )
    return MalformedBody(f"{place}.data: expected {expected}; received {describe(leaf)} as element {index}. {advice}")
