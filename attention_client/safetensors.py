"""Documents of /v1 as safetensors files: arrays are tensors, named by their dotted places, the rest is JSON."""

import json
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


def write(document: Document) -> bytes:
    """Return the file; query, key, value and past are rounded to the dtype of the document.

    Raises InvalidArgument for a finite number beyond its range.
    """

    def tensor_of(name: str, member: Any) -> RawTensor | None:
        if not isinstance(member, np.ndarray):
            return None
        if name not in VECTORS:
            return RawTensor.of(member)
        return round_tensor(member, document["dtype"], pointer(name.split(".")))

    rest, tensors = safetensors.split_document(document, tensor_of)
    return safetensors.write({safetensors.REQUEST: json.dumps(rest)}, tensors)


def read(content: bytes) -> tuple[Document, dict[str, NDArray[Any]]]:
    """Return the JSON of an answer without its arrays, and the arrays by their dotted names.

    The arrays are copies: aligned, writable, and independent of the content.  Raises UnreadableAnswer.
    """
    try:
        length = int.from_bytes(content[: safetensors.LENGTH_BYTES], "little")
        start = safetensors.LENGTH_BYTES + length
        header = json.loads(content[safetensors.LENGTH_BYTES : start])
        document: Document = json.loads(header.pop(safetensors.METADATA)[safetensors.RESPONSE])
        data, arrays = memoryview(content)[start:], {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            array = BY_SAFETENSORS_NAME[entry["dtype"]].read(data[begin:end], tuple(entry["shape"]))
            arrays[name] = array if array.flags.writeable else array.copy()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableAnswer(f"expected a safetensors file; received something else: {error!r}") from None
    return document, arrays
