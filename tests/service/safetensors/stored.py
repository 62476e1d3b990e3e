"""safetensors as a client writes and reads it: with the official library, and by hand where that cannot lie."""

import json
import struct
from typing import Any

import httpx
import ml_dtypes
import numpy as np
import safetensors
from safetensors.numpy import save

SAFETENSORS = "application/vnd.safetensors"
SEND = {"Content-Type": SAFETENSORS}
TAKE = {"Accept": SAFETENSORS}
BOTH = SEND | TAKE

NUMPY: dict[str, Any] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "BOOL": np.bool_,
    "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64,
    "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
}  # fmt: skip


def saved(tensors: dict[str, Any], request: dict[str, Any] | None = None) -> bytes:
    """A file of the official library."""
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    return save(arrays, metadata=None if request is None else {"request": json.dumps(request)})


def loaded(response: httpx.Response) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The JSON of an answer and its tensors, as the official library reads them."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == SAFETENSORS
    content = response.content
    tensors = {
        name: np.frombuffer(bytes(one["data"]), NUMPY[one["dtype"]]).reshape(one["shape"])
        for name, one in safetensors.deserialize(content)
    }
    length = struct.unpack("<Q", content[:8])[0]
    assert length % 8 == 0
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    assert metadata.keys() == {"response"}
    return json.loads(metadata["response"], parse_constant=_refuse), tensors


def whole(response: httpx.Response) -> dict[str, Any]:
    """The answer with its tensors back in their places."""
    document, tensors = loaded(response)
    for name, array in tensors.items():
        *parents, last = name.split(".")
        inside: Any = document
        for step in parents:
            inside = inside[int(step)] if isinstance(inside, list) else inside[step]
        assert last not in inside, f"{name} is there twice"
        inside[last] = array
    return document


def file(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A file made by hand, whatever it says of itself."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _refuse(constant: str) -> float:
    raise AssertionError(f"bare {constant} in an answer")
