"""A document becomes a file: its arrays as tensors, the rest as JSON among the metadata."""

from typing import Any

import numpy as np
import orjson

from service.codecs import json
from service.codecs.datatypes import Raw
from service.codecs.safetensors.framing import LENGTH, METADATA

RESPONSE = "response"

ALIGNMENT = 8
"""Headers are padded so that every tensor behind them lies where its numbers are aligned; larger ones come first."""


def write(document: dict[str, Any]) -> bytes:
    """Return the file; −∞, NaN and +∞ stay the numbers that they are."""
    tensors: dict[str, Raw] = {}
    rest = _without_tensors(document, "", tensors)
    header: dict[str, Any] = {METADATA: {RESPONSE: json.encode(rest).decode()}}
    data, end = [], 0
    for name, raw in sorted(tensors.items(), key=lambda one: -one[1].datatype.wire.itemsize):
        data.append(raw.datatype.store(raw.array))
        begin, end = end, end + len(data[-1])
        header[name] = {"dtype": raw.datatype.stored, "shape": list(raw.array.shape), "data_offsets": [begin, end]}
    text = orjson.dumps(header)
    text += b" " * (-len(text) % ALIGNMENT)
    return b"".join((len(text).to_bytes(LENGTH, "little"), text, *data))


def _without_tensors(value: Any, name: str, tensors: dict[str, Raw]) -> Any:
    """Return a part of the document without its arrays, which go into `tensors` by their dotted names."""
    if isinstance(value, dict):
        kept = {}
        for step, member in value.items():
            inside = f"{name}.{step}" if name else step
            if isinstance(member, Raw | np.ndarray):
                tensors[inside] = member if isinstance(member, Raw) else Raw.of(member)
            else:
                kept[step] = _without_tensors(member, inside, tensors)
        return kept
    if isinstance(value, list):
        return [_without_tensors(item, f"{name}.{place}", tensors) for place, item in enumerate(value)]
    return value
