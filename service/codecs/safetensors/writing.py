"""A document becomes a file: its arrays as tensors, the rest as JSON in the metadata."""

from typing import Any

import numpy as np
import orjson

from attention_wire import safetensors
from attention_wire.datatypes import RawTensor
from service.codecs import json


def write(document: dict[str, Any]) -> bytes:
    """Return a document as a file; −∞, NaN and +∞ stay numbers."""
    rest, tensors = safetensors.split_document(document, _tensor_of)
    return safetensors.write({safetensors.RESPONSE: json.encode(rest).decode()}, tensors, orjson.dumps)


def _tensor_of(_: str, member: Any) -> RawTensor | None:
    if isinstance(member, np.ndarray):
        return RawTensor.of(member)
    return member if isinstance(member, RawTensor) else None
