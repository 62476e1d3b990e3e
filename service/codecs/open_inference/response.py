"""A result becomes JSON with raw tensors behind it, each output as the request wants it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from attention_core.results import AttentionResult
from attention_wire.datatypes import BY_DTYPE, Datatype
from attention_wire.open_inference import describe_tensor
from service.codecs.decimals import BYTES_PER_NUMBER, shortest
from service.codecs.json import encode, plain
from service.codecs.open_inference.metadata import VERSION
from service.codecs.open_inference.request import InferenceRequest
from service.codecs.open_inference.vocabulary import OUTPUTS

NOTES = "notes"
"""Parameter of an answer: a list of strings, as JSON in one string."""


MEMORY_VERSION = "memory_version"
"""Parameter of an answer: the version of the memory that was read, or made by an append."""


def write_response(
    model: str, request: InferenceRequest, result: AttentionResult, memory: Mapping[str, Any] | None = None
) -> tuple[bytes, int | None]:
    """Return the body, and how long its JSON is when raw tensors follow.

    :param memory: what the answer says of a memory; None for a request without.
    """
    outputs: list[Mapping[str, Any]] = []
    raw: list[memoryview] = []
    for name in request.outputs or [name for name in OUTPUTS if name in result.arrays]:
        array, datatype = result.arrays[name], _datatype(name, result)
        if request.is_binary(name):
            raw.append(datatype.store(array))
            outputs.append(describe_tensor(name, array.shape, datatype, len(raw[-1])))
        else:
            head = {"name": name, "shape": list(array.shape), "datatype": datatype.name}
            outputs.append(head | {"data": _data(array, datatype)})
    identity = {} if request.id is None else {"id": request.id}
    # Parameters are scalars, and most answers have none.
    said = {NOTES: orjson.dumps(result.notes).decode()} if result.notes else {}
    if memory is not None:
        said[MEMORY_VERSION] = memory["version"]
    parameters = {"parameters": said} if said else {}
    document = {"model_name": model, "model_version": VERSION, **identity, **parameters, "outputs": outputs}
    # Without numbers in it nothing needs looking for: 5 of the 230 µs of a query on a small memory (RESULTS.md).
    text = orjson.dumps(document) if len(raw) == len(outputs) else encode(document)
    return (b"".join((text, *raw)), len(text)) if raw else (text, None)


def bytes_per_number(request: InferenceRequest, dtype: str) -> int:
    """Return about how many bytes a number of the answer takes: as many as in JSON unless all of it is raw."""
    choices = [request.is_binary(name) for name in request.outputs] or [request.binary_by_default]
    return BY_DTYPE[dtype].wire.itemsize if all(choices) else BYTES_PER_NUMBER[dtype]


def _datatype(name: str, result: AttentionResult) -> Datatype:
    """Return that of the result; logsumexp stays in the type that was computed in."""
    if name == "logsumexp":
        return BY_DTYPE[result.arrays[name].dtype.name]
    return BY_DTYPE[result.dtype]


def _data(array: NDArray[Any], datatype: Datatype) -> Any:
    """Return the numbers flat, row-major, as short as they read back."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if datatype.dtype is not None:
        flat = shortest(flat, datatype.dtype)
    return flat if np.isfinite(flat).all() else plain(flat, minus_infinity="-Infinity")
