"""The layout of a safetensors file, and how one is written.

A file is the length of its header in 8 bytes, the header as JSON, and the tensors without a gap.
https://github.com/huggingface/safetensors#format
"""

import json
from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Any

from attention_wire.datatypes import Datatype, RawTensor

LENGTH_BYTES = 8
"""Bytes of the little-endian integer at the start of a file: the length of its header."""

METADATA = "__metadata__"
"""Member of the header: an object of strings."""

REQUEST, RESPONSE = "request", "response"
"""Members of the metadata: what the document of /v1 holds beside its arrays, as JSON, on the way in and out."""

ALIGNMENT = 8
"""Headers are padded with blanks to a multiple of it, so that the tensors behind them are aligned."""


def encode_json(value: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def split_document(
    document: Mapping[str, Any], tensor_of: Callable[[str, Any], RawTensor | None]
) -> tuple[Any, dict[str, RawTensor]]:
    """Return a document without its arrays, and these as tensors by their dotted names.

    :param tensor_of: returns the tensor of a member, given its dotted name; None where the member is no array.
    """
    tensors: dict[str, RawTensor] = {}

    def without_arrays(value: Any, name: str) -> Any:
        if isinstance(value, list):
            return [without_arrays(item, f"{name}.{index}") for index, item in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        rest = {}
        for step, member in value.items():
            inside = f"{name}.{step}" if name else step
            tensor = tensor_of(inside, member)
            if tensor is None:
                rest[step] = without_arrays(member, inside)
            else:
                tensors[inside] = tensor
        return rest

    return without_arrays(document, ""), tensors


def write_header(
    metadata: Mapping[str, str],
    tensors: Iterable[tuple[str, Datatype, tuple[int, ...]]],
    encode: Callable[[Any], bytes] = encode_json,
    alignment: int = ALIGNMENT,
) -> bytes:
    """Return the bytes in front of the tensors of a file.

    :param metadata: strings of the header by name.
    :param tensors: name, datatype and shape of each, in the order of their bytes.
    :param encode: writes the JSON of the header.
    :param alignment: the tensors begin at a multiple of it.
    """
    header: dict[str, object] = {METADATA: metadata}
    end = 0
    for name, datatype, shape in tensors:
        begin, end = end, end + prod(shape) * datatype.wire.itemsize
        header[name] = {"dtype": datatype.safetensors_name, "shape": list(shape), "data_offsets": [begin, end]}
    text = encode(header)
    text += b" " * (-(LENGTH_BYTES + len(text)) % alignment)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def write(
    metadata: Mapping[str, str], tensors: Mapping[str, RawTensor], encode: Callable[[Any], bytes] = encode_json
) -> bytes:
    """Return a file; its tensors are sorted by bytes per number, largest first, so that each of them is aligned.

    :param metadata: strings of the header by name.
    :param tensors: by name.
    :param encode: writes the JSON of the header.
    """
    ordered = sorted(tensors.items(), key=lambda item: -item[1].datatype.wire.itemsize)
    described = ((name, tensor.datatype, tensor.array.shape) for name, tensor in ordered)
    return b"".join((write_header(metadata, described, encode), *(tensor.store() for _, tensor in ordered)))
