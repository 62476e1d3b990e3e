"""A document of /v1 as a safetensors file: arrays as tensors, named by where they stand, the rest as JSON.

https://github.com/huggingface/safetensors#format
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from service.client.arguments import VECTORS, Document, pointer_to
from service.client.framing import WIRE, Tensor, rounded, tensor

SAFETENSORS = "application/vnd.safetensors"

ALIGNMENT = 8
"""The header is padded so that what is behind it lies where numbers are aligned."""


def store(document: Document) -> bytes:
    """Return the file; query, key, value and past are rounded to the dtype of the document.

    Raises InvalidArgument for a finite number beyond it.
    """
    tensors: list[Tensor] = []
    rest = _without_tensors(document, (), document["dtype"], tensors)
    header: Document = {"__metadata__": {"request": json.dumps(rest)}}
    # A stored type of few bytes would move what comes behind it to where its numbers are not aligned.
    tensors.sort(key=lambda one: -WIRE[one.datatype].itemsize)
    end = 0
    for one in tensors:
        begin, end = end, end + one.raw.nbytes
        header[one.name] = {"dtype": _stored_as(one.datatype), "shape": one.shape, "data_offsets": (begin, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return b"".join((len(text).to_bytes(8, "little"), text, *(one.raw for one in tensors)))


def _without_tensors(
    inside: Mapping[str, Any], path: tuple[str, ...], dtype: str, tensors: list[Tensor]
) -> dict[str, Any]:
    """Return a part of the document without its arrays, which go into `tensors`."""
    rest: dict[str, Any] = {}
    for step, member in inside.items():
        place = (*path, step)
        if isinstance(member, np.ndarray):
            name = ".".join(place)
            vector = name in VECTORS
            tensors.append(rounded(name, member, dtype, pointer_to(place)) if vector else tensor(name, member))
        else:
            rest[step] = _without_tensors(member, place, dtype, tensors) if isinstance(member, Mapping) else member
    return rest


def _stored_as(datatype: str) -> str:
    """Return what a datatype of the Open Inference Protocol is called in a file: F32 for FP32, U8 for UINT8."""
    return datatype.replace("FP", "F").replace("INT", "I").replace("UI", "U")
