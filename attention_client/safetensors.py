"""A document of /v1 as a safetensors file: its arrays as tensors, named by their dotted places, the rest as JSON."""

import json
from typing import Any

import numpy as np

from attention_client.arguments import Document
from attention_client.names import VECTORS
from attention_client.tensors import round_tensor
from attention_wire import safetensors
from attention_wire.datatypes import RawTensor
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
