"""A document of /v1 as a safetensors file: its arrays as tensors, named by their dotted places, the rest as JSON."""

import json
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_client.arguments import Document
from attention_client.errors import UnreadableAnswer
from attention_client.names import VECTORS
from attention_client.tensors import round_tensor
from attention_wire import safetensors
from attention_wire.datatypes import BY_SAFETENSORS_NAME, RawTensor
from attention_wire.documents import pointer

MEDIA_TYPE = "application/vnd.safetensors"


REQUEST_MEMBER = "request"
"""Member of a larger document that holds the document of POST /v1/attention."""


def write(document: Document) -> bytes:
    """Return the file; query, key, value and past are rounded to the dtype of the document.

    :param document: that of POST /v1/attention, or one that holds it as its member `request`.

    Raises InvalidArgument for a finite number beyond its range.
    """
    dtype = document.get(REQUEST_MEMBER, document)["dtype"]

    def tensor_of(name: str, member: Any) -> RawTensor | None:
        if not isinstance(member, np.ndarray):
            return None
        argument = name.removeprefix(f"{REQUEST_MEMBER}.")
        if argument not in VECTORS:
            return RawTensor.of(member)
        return round_tensor(member, dtype, pointer(argument.split(".")))

    rest, tensors = safetensors.split_document(document, tensor_of)
    return safetensors.write({safetensors.REQUEST: json.dumps(rest)}, tensors)


def read(content: bytes, member: str = safetensors.RESPONSE) -> tuple[Document, dict[str, NDArray[Any]]]:
    """Return the JSON of an answer and its tensors by name; raises UnreadableAnswer.

    :param content: the file.
    :param member: of the metadata, which holds the JSON.

    The arrays are copies: aligned, writable, and independent of the body.
    """
    try:
        start = safetensors.LENGTH_BYTES + int.from_bytes(content[: safetensors.LENGTH_BYTES], "little")
        header = json.loads(content[safetensors.LENGTH_BYTES : start])
        document = json.loads(header.pop(safetensors.METADATA)[member])
        data, arrays = memoryview(content)[start:], {}
        for name, entry in header.items():
            datatype, shape, (begin, end) = BY_SAFETENSORS_NAME[entry["dtype"]], entry["shape"], entry["data_offsets"]
            if end - begin != prod(shape) * datatype.wire.itemsize or not 0 <= begin <= end <= len(data):
                raise UnreadableAnswer(f"expected {end - begin} bytes of {name}; received an answer of {len(content)}.")
            array = datatype.read(data[begin:end], tuple(shape))
            arrays[name] = array if array.flags.writeable else array.copy()
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableAnswer(f"expected a safetensors file; received something else: {error!r}") from None
    return document, arrays
